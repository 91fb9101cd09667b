"""Names that become folders."""

from __future__ import annotations

FOLDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Letters, digits, _ and -: safe on every file system and nothing that leaves the folder."""
