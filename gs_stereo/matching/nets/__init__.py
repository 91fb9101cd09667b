"""Stereo networks behind one protocol: a compact one of our own, and RAFT-Stereo."""
