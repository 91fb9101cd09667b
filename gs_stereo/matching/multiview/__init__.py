"""Depth of one view from many: rectified stacks that a splat renders, and real photos with known poses."""
