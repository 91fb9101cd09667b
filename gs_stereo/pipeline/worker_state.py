"""What a process keeps between units of work, so that it loads a scene, a splat or a net once."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from gs_stereo.pipeline.manifest import PublishedFolder

T = TypeVar("T")


class WorkerState:
    """One value a slot, made when it is first asked for.

    The key says what the value was made of: the fingerprint of a published folder, or the settings, never a path. So
    what was loaded from a folder that has been made anew since then is not taken for what lies there now.
    """

    def __init__(self) -> None:
        self._slots: dict[str, tuple[Hashable, Any]] = {}

    def get(self, slot: str, key: Hashable, make: Callable[[], T]) -> T:
        """The value of the slot if it has this key, else a new one; the old one is closed if it can be."""
        if slot not in self._slots or self._slots[slot][0] != key:
            self.forget(slot)
            self._slots[slot] = (key, make())
        return cast(T, self._slots[slot][1])

    def loaded(self, slot: str, load: Callable[..., T], *of: Hashable) -> T:
        """What `load` makes of published folders, which it is given as paths, and of settings."""
        folders = [item if isinstance(item, PublishedFolder) else None for item in of]
        key = [folder.fingerprint if folder else item for folder, item in zip(folders, of, strict=True)]
        given = [folder.path if folder else item for folder, item in zip(folders, of, strict=True)]
        return self.get(slot, (load, *key), lambda: load(*given))

    def forget(self, *slots: str) -> None:
        """Close and drop the values of these slots."""
        for slot in slots:
            _, value = self._slots.pop(slot, (None, None))
            close = getattr(value, "close", None)
            if close is not None:
                close()


worker_state = WorkerState()
"""That of this process."""
