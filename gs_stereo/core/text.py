"""Names of files need not be text: Linux takes any bytes, and Python shows those that are no UTF-8 as surrogates."""


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """The name with what is no text escaped: the same for every text."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
