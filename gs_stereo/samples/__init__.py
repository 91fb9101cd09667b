"""Textured procedural scenes, ray cast with exact depth, disparity and occlusion: no download, no asset files."""
