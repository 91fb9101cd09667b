"""Generated scenes with exact depth, disparity and occlusion: no download, no asset files."""
