"""Training stereo nets: data, augmentation, losses, the loop."""
