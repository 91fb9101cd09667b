"""Files: one format a module, written atomically, read with care for broken or hostile input."""
