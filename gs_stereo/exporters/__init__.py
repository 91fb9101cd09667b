"""Data sets in the layouts that other programs read: one module a format, each with a writer and a reader."""
