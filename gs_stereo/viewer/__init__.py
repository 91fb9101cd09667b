"""Look at a scene in a browser: a viser server on this machine. Only `layers`, `panels` and `server` touch viser."""
