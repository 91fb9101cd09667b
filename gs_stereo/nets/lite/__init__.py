"""The compact net: learned features, a full-range correlation volume at 1/4, and a local refinement at 1/2."""
