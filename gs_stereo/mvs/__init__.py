"""Multi-view stereo: depth of one view from posed images, photos or rendered ones."""
