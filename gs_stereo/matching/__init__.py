"""Stereo matchers behind one protocol: classic ones, experts and trained nets."""
