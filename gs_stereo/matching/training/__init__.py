"""Training of stereo nets: data, augmentation, losses, the loop, its checkpoints and its record."""
