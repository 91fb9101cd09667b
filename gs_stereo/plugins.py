"""One registry a protocol: a visible table of built-ins, then third parties through entry points."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from gs_stereo.errors import PluginError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Registry(Generic[T]):
    """Names to factories of T.

    `builtin` maps a name to "module:attribute"; `install_hints` says what to install when its import fails.
    Third parties register under the entry-point group `gs_stereo.<kind>`.
    """

    kind: str
    builtin: Mapping[str, str]
    install_hints: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        return f"gs_stereo.{self.kind}"

    def names(self) -> list[str]:
        """Every known name, built-ins first."""
        third_party = {entry.name for entry in entry_points(group=self.group)}
        return [*self.builtin, *sorted(third_party - set(self.builtin))]

    def __contains__(self, name: str) -> bool:
        return name in self.builtin or name in self.names()  # looking through entry points takes milliseconds

    def load(self, name: str) -> T:
        """Import and return the factory called `name`; PluginError if it is unknown or cannot be imported."""
        try:
            if name in self.builtin:
                module, _, attribute = self.builtin[name].partition(":")
                return cast(T, getattr(import_module(module), attribute))
            for entry in entry_points(group=self.group):
                if entry.name == name:
                    return cast(T, entry.load())
        except ImportError as error:
            hint = self.install_hints.get(name, "install the package that provides it")
            raise PluginError(f"The {self.kind} {name!r} cannot be loaded ({error}); {hint}.") from error
        raise PluginError(f"There is no {self.kind} called {name!r}; use one of: {', '.join(self.names())}.")
