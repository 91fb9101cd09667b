"""The named errors. A message is one sentence: what is wrong, where, and the fix."""

from pathlib import Path


class GsStereoError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 4


class ConfigError(GsStereoError):
    """A setting, recipe or command line is wrong."""

    exit_code = 2


class InputError(GsStereoError):
    """A file or folder the user gave is missing, broken or unusable."""

    exit_code = 3


class PluginError(GsStereoError):
    """A named plug-in is unknown or cannot be loaded."""

    exit_code = 2


class StageError(GsStereoError):
    """A stage failed while it ran."""

    exit_code = 4


def unreadable(path: Path | str, error: OSError) -> InputError:
    """What to raise where a file or folder of the user's cannot be read."""
    return InputError(f"Cannot read {path}: {error.strerror or error}; check that it is there and may be read.")
