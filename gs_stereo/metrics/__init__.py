"""Measures of images and disparities: update with data, compute the result."""
