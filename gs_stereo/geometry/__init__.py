"""Pure geometry on numpy arrays: pixels, projection, disparity, trajectories. No files, no torch."""
