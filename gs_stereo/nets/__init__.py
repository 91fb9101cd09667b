"""Stereo networks behind one protocol, and their weights."""
