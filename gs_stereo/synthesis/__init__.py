"""One photo in, its other eye out: StereoSpace (arXiv 2512.10959), and simpler ways to compare it with."""
