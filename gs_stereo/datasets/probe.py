"""Opens shards in a child process first, because HDF5 crashes or hangs on some broken files.

The child reads everything but pixels: structure, texts and attributes. It has a time and a memory limit. What it
survives is safe to open here. One child looks at all shards of a dataset (about half a second).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gs_stereo.core.channel import Channel
from gs_stereo.core.child import Child, ChildError, Program
from gs_stereo.errors import InputError

_SECONDS_TO_START = 60
_SECONDS_A_SHARD = 2
_MEMORY_BYTES = 3 << 29


def probe_shards(paths: Sequence[Path]) -> None:
    """Return if every shard opens safely; InputError names the first that does not."""
    name = f"The check of {paths[0].parent}"
    program = Program.of_module("gs_stereo.datasets.probe", name=name, memory_bytes=_MEMORY_BYTES)
    # Address space is what is limited, and OpenBLAS takes some for every core.
    program = replace(program, environment={**program.environment, "OPENBLAS_NUM_THREADS": "1"})
    reports: list[str] = []
    try:
        with Child(program) as child:
            child.request(
                {"paths": [str(path) for path in paths]},
                timeout_s=_SECONDS_TO_START + _SECONDS_A_SHARD * len(paths),
                on_progress=lambda header: reports.append(header["report"]),
            )
    except ChildError as error:
        if error.code is not None and error.code > 0:  # an exception; after a crash it is negative
            raise
    for report in filter(None, reports):
        raise InputError(report)
    if len(reports) < len(paths):
        raise InputError(f"The shard {paths[len(reports)]} is corrupt (HDF5 fails on it); delete it and label again.")


def main() -> None:
    """The child: for every path "" or what is wrong, each as soon as it is known."""
    channel = Channel()
    request, _ = channel.receive()
    from gs_stereo.datasets.read import ShardReader

    for path in request["paths"]:
        report = ""
        try:
            with ShardReader(Path(path)) as reader:
                _ = reader.info
        except InputError as error:
            report = str(error)
        channel.send({"kind": "progress", "report": report})
    channel.send({"kind": "result"})
    channel.receive()  # the process ends when the parent has read it


if __name__ == "__main__":
    main()
