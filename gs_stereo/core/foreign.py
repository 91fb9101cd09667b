"""Files that are something else than their name says, as downloads often are."""

from pathlib import Path

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_LOOKED_AT_BYTES = 512


def what_it_is_instead(path: Path) -> str | None:
    """What a file that a reader cannot use really is, with the remedy; None if that is not known."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_LOOKED_AT_BYTES)
    except OSError:
        return None
    if not start:
        return "it is empty: copy it again"
    if start.startswith(_LFS_POINTER):
        return "it is a Git LFS pointer, not the file: run `git lfs pull` where it comes from"
    if start.lstrip()[:9].lower() in (b"<!doctype", b"<!doctyp") or start.lstrip()[:5].lower() == b"<html":
        return "it is a web page, not the file: download it again, in a browser if a page asks for a click"
    return None
