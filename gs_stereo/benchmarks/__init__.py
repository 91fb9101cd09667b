"""Scenes with truth: readers, and the protocol by which results are compared with it."""
