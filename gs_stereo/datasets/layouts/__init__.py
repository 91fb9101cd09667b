"""Stereo data sets in the layouts of other programs: one module a format, with its writer and its reader."""
