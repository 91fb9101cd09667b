"""Is a dataset good enough to train on? Measures of its samples, and a verdict with reasons. Knows no pipeline."""
