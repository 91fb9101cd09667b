"""Photos and pictures: reading and writing them, video frames, resampling, sharpness, colour maps."""
