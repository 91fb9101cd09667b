"""Varied procedural stereo pairs to train nets on: random scenes, ray cast, with exact disparity and occlusion."""
