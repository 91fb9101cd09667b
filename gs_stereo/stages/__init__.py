"""Glue, one file a verb: read published folders, call the domain, write the work folder."""
