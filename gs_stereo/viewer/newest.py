"""A thread that does the newest request and forgets the ones before it: slow work never piles up."""

import threading
from collections.abc import Callable

Job = Callable[[], None]


class NewestWins:
    """Runs jobs one at a time on a thread of its own. A job that waits is replaced by a newer one.

    on_error: called with whatever a job raises; the thread goes on.
    """

    def __init__(self, name: str, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        self._changed = threading.Condition()
        self._next: Job | None = None
        self._running, self._ended = False, False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Do `job` next, instead of one that still waits."""
        with self._changed:
            self._next = job
            self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """True once nothing runs and nothing waits, False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._next is None and not self._running, timeout_s)

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread after the job that runs; one that waits is dropped."""
        with self._changed:
            self._ended, self._next = True, None
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _take(self) -> Job | None:
        with self._changed:
            self._running = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ended or self._next is not None)
            job, self._next = self._next, None
            self._running = job is not None
            return job

    def _work(self) -> None:
        while (job := self._take()) is not None:
            try:
                job()
            except Exception as error:  # whatever a broken file or a full disk raises is shown, and the viewer lives on
                self._on_error(error)
