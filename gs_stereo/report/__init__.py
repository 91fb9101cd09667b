"""The report: one static HTML page about a scene and a dataset."""
