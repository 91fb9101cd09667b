"""Rooms to walk through with a camera: photos from many poses, with exact truth."""
