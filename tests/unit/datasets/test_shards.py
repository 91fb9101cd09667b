"""Dataset shards: round trip, the format as the outside sees it, determinism, and broken or hostile files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import builders
import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest

from gs_stereo.datasets.probe import probe_shards
from gs_stereo.datasets.read import ShardReader, read_dataset, read_shard
from gs_stereo.datasets.schema import ShardSample, check_sizes, read_index
from gs_stereo.datasets.write import ShardWriting, verify_dataset, write_dataset
from gs_stereo.errors import InputError, StageError
from gs_stereo.types import Provenance

INFO = builders.make_info(
    provenance=Provenance(name="sgbm", version="1", licence="Apache-2.0", settings={"block_size": 3}),
    metres_per_unit=None,
    config={"label": {"min_alpha": 0.8}},
)
NAME = "train-00000-of-00001.h5"
IN_A_PROCESS = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(__file__).parents[up]) for up in (2, 3))}


def make_sample(number: int, height: int = 12, views: int = 0) -> ShardSample:
    disparity = np.random.default_rng(number).uniform(0, 30, (height, 20)).astype(np.float32)
    disparity[0, :3] = np.nan
    return builders.make_sample(number, disparity, views=views)


def write(folder: Path, count: int = 5, per_shard: int = 2, compression: str = "gzip", views: int = 0):
    samples = (make_sample(number, views=views) for number in range(count))
    writing = ShardWriting(samples_per_shard=per_shard, compression=compression)
    return write_dataset(folder, samples, INFO, sample_count=count, writing=writing)


def assert_same(one: ShardSample, two: ShardSample) -> None:
    for name in ShardSample.__dataclass_fields__:
        first, second = getattr(one, name), getattr(two, name)
        np.testing.assert_array_equal(first, second)
        assert getattr(first, "dtype", None) == getattr(second, "dtype", None)


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
@pytest.mark.parametrize("views", [0, 3])
def test_round_trip(tmp_path: Path, compression: str, views: int) -> None:
    index = write(tmp_path, compression=compression, views=views)
    assert [entry.count for entry in index.shards] == [2, 2, 1]
    assert [entry.file for entry in index.shards] == [f"train-0000{number}-of-00003.h5" for number in range(3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["dataset.json", *(entry.file for entry in index.shards)]
    )
    assert verify_dataset(tmp_path) == index == read_index(tmp_path)
    for number, sample in enumerate(read_dataset(tmp_path)):
        assert_same(sample, make_sample(number, views=views))


def test_depth_of_a_stack_is_kept_and_comes_only_with_its_views(tmp_path: Path) -> None:
    depth = np.random.default_rng(0).uniform(0.5, 9, (3, 12, 20)).astype(np.float32)
    depth[1, 0, :4] = np.nan
    stack = replace(make_sample(0, views=3), view_depth=depth)
    write_dataset(tmp_path / "a", [stack], INFO, sample_count=1)
    (read,) = read_dataset(tmp_path / "a")
    assert_same(read, stack)
    verify_dataset(tmp_path / "a")
    for number, (wrong, sentence) in enumerate(
        [
            ([replace(stack, views=None, offsets=None)], "view_depth comes only with views"),
            ([replace(stack, view_depth=-depth)], "neither NaN nor finite and > 0"),
            ([stack, make_sample(1, views=3)], "only some have view_depth"),
            ([make_sample(1, views=3), stack], "only some have view_depth"),
        ]
    ):
        with pytest.raises(InputError, match=sentence):
            write_dataset(tmp_path / str(number), wrong, INFO, sample_count=len(wrong))


def test_by_default_h5py_alone_reads_a_shard(tmp_path: Path) -> None:
    write_dataset(tmp_path, [make_sample(0)], INFO, sample_count=1)
    code = f"import h5py, sys; h5py.File({str(tmp_path / NAME)!r})['left'][0]; sys.exit('hdf5plugin' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HDF5_PLUGIN_PATH": str(tmp_path)})


def test_format_as_documented(tmp_path: Path) -> None:
    """What a reader that only knows the format's table finds."""
    write(tmp_path, count=3, per_shard=3, views=2)
    with h5py.File(tmp_path / NAME) as file:
        attributes = dict(file.attrs)
        assert (attributes["format"], attributes["format_version"]) == ("gs_stereo.stereo", 1)
        assert [attributes[name] for name in ("scene", "split", "label")] == ["Küche links/left", "train", "sgbm"]
        assert attributes["generator"] == INFO.generator
        assert np.isnan(attributes["metres_per_unit"])
        assert json.loads(attributes["config"]) == {"label": {"min_alpha": 0.8}}
        assert json.loads(attributes["label_provenance"]) == {
            "expert": "sgbm",
            "version": "1",
            "licence": "Apache-2.0",
            "weights_sha256": None,
            "settings": {"block_size": 3},
        }
        kinds = {name: (data.dtype.name, data.shape) for name, data in file.items() if data.dtype.kind != "S"}
        assert kinds == {
            "left": ("uint8", (3, 12, 20, 3)),
            "right": ("uint8", (3, 12, 20, 3)),
            "disparity": ("float32", (3, 12, 20)),
            "confidence": ("uint8", (3, 12, 20)),
            "flags": ("uint16", (3, 12, 20)),
            "intrinsics": ("float64", (3, 3, 3)),
            "baseline": ("float64", (3,)),
            "cam_from_world": ("float64", (3, 4, 4)),
            "views": ("uint8", (3, 2, 12, 20, 3)),
            "offsets": ("float64", (3, 2)),
        }
        assert all(data.chunks == (1, *data.shape[1:]) for data in file.values())
        assert list(file["sample_id"].asstr()[()]) == [f"Küche-{number}/0.1" for number in range(3)]
        assert file["view_id"][0].decode() == "0.jpg"
        assert h5py.check_string_dtype(file["view_id"].dtype).encoding == "utf-8"


def test_scale_is_stored(tmp_path: Path) -> None:
    info = replace(INFO, metres_per_unit=0.25)
    write_dataset(tmp_path, [make_sample(0)], info, sample_count=1)
    assert verify_dataset(tmp_path).info == info
    with ShardReader(tmp_path / NAME) as reader:
        assert reader.info == info


def test_same_samples_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_shards; "
        "test_shards.write(pathlib.Path(sys.argv[2]))"
    )
    for name in ("one", "two"):  # two processes at two times and in two places
        command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / name)]
        subprocess.run(command, check=True, env=IN_A_PROCESS)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_only_one_sample_is_held(tmp_path: Path) -> None:
    alive: list[int] = []

    class Tracked(np.ndarray):
        def __del__(self) -> None:
            alive.remove(1)

    def stream():
        for number in range(6):
            sample = make_sample(number)
            if number:
                assert len(alive) <= 2
            left = sample.left.view(Tracked)
            alive.append(1)
            sample = replace(sample, left=left)
            del left
            yield sample

    write_dataset(tmp_path, stream(), INFO, sample_count=6)


@pytest.mark.parametrize("arriving", [0, 3, 5])
def test_wrong_number_of_samples(tmp_path: Path, arriving: int) -> None:
    samples = [make_sample(number) for number in range(arriving)]
    with pytest.raises(StageError, match=r"samples arrived"):
        write_dataset(tmp_path, samples, INFO, sample_count=4, writing=ShardWriting(samples_per_shard=2))
    assert not (tmp_path / "dataset.json").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"disparity": np.full((12, 20), -1, np.float32)}, "disparity"),
        ({"disparity": np.full((12, 20), np.inf, np.float32)}, "disparity"),
        ({"disparity": np.zeros((12, 20))}, "float64"),
        ({"disparity": np.zeros((11, 20), np.float32)}, "disparity"),
        ({"flags": np.full((12, 20), 1 << 15, np.uint16)}, "unknown bit"),
        ({"baseline": 0.0}, "baseline"),
        ({"intrinsics": np.zeros((3, 3))}, "intrinsics"),
        ({"cam_from_world": np.diag([2.0, 1, 1, 1])}, "rotation"),
        ({"sample_id": ""}, "sample_id"),
        ({"sample_id": "a\nb"}, "sample_id"),
        ({"sample_id": "Küche-0/0.1"}, "twice"),
        ({"offsets": np.zeros(2)}, "together"),
    ],
)
def test_a_sample_that_breaks_the_format(tmp_path: Path, change: dict[str, object], message: str) -> None:
    samples = [make_sample(0), replace(make_sample(1), **change)]
    with pytest.raises(InputError, match=message):
        write_dataset(tmp_path, samples, INFO, sample_count=2)
    assert not list(tmp_path.iterdir())


def test_mixed_sizes_and_bad_requests(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one resolution"):
        write_dataset(tmp_path, [make_sample(0), make_sample(1, height=14)], INFO, sample_count=2)
    with pytest.raises(InputError, match="no sample"):
        write_dataset(tmp_path, [], INFO, sample_count=0)
    with pytest.raises(InputError, match="split name"):
        write_dataset(tmp_path, [make_sample(0)], replace(INFO, split="../x"), sample_count=1)
    write(tmp_path)
    with pytest.raises(InputError, match="already holds a dataset"):
        write(tmp_path)


def test_failed_write_leaves_no_shard(tmp_path: Path) -> None:
    def stream():
        yield make_sample(0)
        raise InputError("the pair is broken; render it again.")

    with pytest.raises(InputError, match="the pair is broken"):
        write_dataset(tmp_path, stream(), INFO, sample_count=2)
    assert not list(tmp_path.iterdir())


def test_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    code = (
        "import sys, pathlib, resource, signal; sys.path.insert(0, sys.argv[1]); import test_shards\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "from gs_stereo.errors import StageError\n"
        "try: test_shards.write(pathlib.Path(sys.argv[2]), count=40, per_shard=40)\n"
        "except StageError as error: print('StageError', error)\n"
    )
    assert resource
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    answer = subprocess.run(command, env=IN_A_PROCESS, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith("StageError Cannot write"), answer.stderr
    assert answer.returncode == 0  # HDF5 must not crash at the end of the program
    assert not list(tmp_path.glob("*.h5"))
    assert not (tmp_path / "dataset.json").exists()


@pytest.mark.parametrize("where", [0.0, 0.02, 0.3, 0.9])
def test_flipped_byte_is_found_and_named(tmp_path: Path, where: float) -> None:
    write(tmp_path)
    path = tmp_path / "train-00001-of-00003.h5"
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"train-00001-of-00003\.h5.*label again"):
        verify_dataset(tmp_path)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.99])
def test_truncated_shard(tmp_path: Path, keep: float) -> None:
    write(tmp_path, per_shard=5)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(InputError, match="corrupt"):
        list(read_shard(path))


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished dataset"):
        verify_dataset(tmp_path)
    with pytest.raises(InputError, match="missing"):
        list(read_shard(tmp_path / "none.h5"))
    write(tmp_path)
    (tmp_path / "train-00002-of-00003.h5").unlink()
    with pytest.raises(InputError, match="train-00002"):
        verify_dataset(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", 2),
        ("format", "other"),
        ("shards", []),
        ("sample_count", 6),
        ("shards", [{"file": "../../etc/x.h5", "count": 5, "sha256": "", "bytes": 1}]),
        ("shards", [{"file": "a.h5", "count": "5", "sha256": "", "bytes": 1}]),
        ("label_provenance", 3),
        ("metres_per_unit", "one"),
    ],
)
def test_broken_index(tmp_path: Path, key: str, value: object) -> None:
    write(tmp_path)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InputError, match=r"dataset\.json is broken"):
        verify_dataset(tmp_path)


def rewrite(folder: Path, change) -> Path:
    """A shard changed by hand, as a hostile or foreign program would write it."""
    write(folder, per_shard=5)
    path = folder / NAME
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def _external_link(file: h5py.File) -> None:
    with h5py.File(Path(file.filename).with_name("secret.h5"), "w") as other:
        other["disparity"] = file["disparity"][()]
    del file["disparity"]
    file["disparity"] = h5py.ExternalLink("secret.h5", "/disparity")


def _soft_link(file: h5py.File) -> None:
    del file["right"]
    file["right"] = h5py.SoftLink("/left")


def _external_storage(file: h5py.File) -> None:
    Path(file.filename).with_name("secret.bin").write_bytes(bytes(5 * 9 * 8))
    del file["intrinsics"]
    secret = str(Path(file.filename).with_name("secret.bin"))
    file.create_dataset("intrinsics", (5, 3, 3), "f8", external=[(secret, 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((5,), "f8")
    layout[:] = h5py.VirtualSource("secret.h5", "baseline", (5,))
    del file["baseline"]
    file.create_virtual_dataset("baseline", layout)


def _replace(name: str, **settings: object):
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **settings)

    return change


def _attribute(name: str, value: object):
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _external_link,
        _soft_link,
        _external_storage,
        _virtual,
        _replace("flags", data=["a"] * 5, dtype=h5py.string_dtype()),
        _replace("sample_id", shape=(5,), dtype=h5py.vlen_dtype(np.uint8)),
        _replace("view_id", shape=(5,), dtype=h5py.ref_dtype),
        _replace("view_id", shape=(4,), dtype="S4"),
        _replace("disparity", shape=(5, 12, 20), dtype="f8"),
        _replace("disparity", shape=(5, 12, 21), dtype="f4"),
        _replace("disparity", shape=(5,), dtype=np.dtype([("a", "f4")])),
        _replace("left", shape=(5, 1 << 40, 1 << 10, 3), dtype="u1", chunks=(1, 1, 1, 3)),
        _replace("left", shape=(1 << 50, 12, 20, 3), dtype="u1", chunks=(1, 12, 20, 3)),
        _replace("left", shape=(), dtype="u1"),
        lambda file: file.__delitem__("confidence"),
        lambda file: (file.__delitem__("left"), file.create_group("left")),
        lambda file: file.create_dataset("views", shape=(5, 1, 12, 20, 3), dtype="u1"),
        _attribute("format_version", 2),
        _attribute("format_version", "1"),
        _attribute("format_version", [1, 1]),
        lambda file: file.attrs.__delitem__("metres_per_unit"),
    ],
)
def test_hostile_shard_is_refused(tmp_path: Path, change) -> None:
    path = rewrite(tmp_path, change)
    with pytest.raises(InputError, match=rf"{NAME} is corrupt"):
        ShardReader(path)
    with pytest.raises(InputError, match=rf"{NAME}"):
        verify_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("format", "x"), ("config", "[]"), ("config", "{"), ("label_provenance", "{}"), ("scene", 3), ("split", b"\xff")],
)
def test_wrong_attribute_text(tmp_path: Path, name: str, value: object) -> None:
    path = rewrite(tmp_path, _attribute(name, value))
    with pytest.raises(InputError, match="corrupt"):
        probe_shards([path])


def test_unknown_flag_in_a_foreign_shard(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["flags"][3, 0, 0] = 1 << 15

    path = rewrite(tmp_path, change)
    index = json.loads((tmp_path / "dataset.json").read_text())
    import hashlib

    index["shards"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "dataset.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"Küche-3/0\.1.*unknown bit"):
        verify_dataset(tmp_path)


def test_foreign_shard_with_other_storage_is_read(tmp_path: Path) -> None:
    """Contiguous columns, variable-length texts and extra datasets are fine."""

    def change(file: h5py.File) -> None:
        for name in ("baseline", "disparity"):
            values = file[name][()]
            del file[name]
            file[name] = values
        names = list(file["sample_id"].asstr()[()])
        del file["sample_id"]
        file.create_dataset("sample_id", data=names, dtype=h5py.string_dtype())
        file["extra"] = h5py.ExternalLink("nowhere.h5", "/x")

    for number, sample in enumerate(read_shard(rewrite(tmp_path, change))):
        assert_same(sample, make_sample(number))


def test_damaged_files_never_crash_the_reader(tmp_path: Path) -> None:
    """Random damage anywhere: every read ends in samples or in InputError."""
    write(tmp_path, count=2, per_shard=2)
    good = (tmp_path / "train-00000-of-00001.h5").read_bytes()
    rng, bad, refused = np.random.default_rng(0), tmp_path / "bad.h5", 0
    for _ in range(150):
        data = np.frombuffer(good, np.uint8).copy()
        where = rng.integers(0, len(data), rng.integers(1, 12))
        data[where] = rng.integers(0, 256, len(where))
        bad.write_bytes(data.tobytes())
        try:
            list(read_shard(bad))
        except InputError:
            refused += 1
    assert refused > 75


def test_probe_survives_what_hangs_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage to the heap that holds the attribute texts, which HDF5 does not protect by a checksum."""
    monkeypatch.setattr("gs_stereo.datasets.probe._SECONDS_TO_START", 3)
    write(tmp_path, per_shard=5)
    path = tmp_path / NAME
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    for offset in range(heap + 24, heap + 4000, 8):
        data[offset : offset + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"{NAME} is corrupt"):
        probe_shards([path])


@pytest.mark.parametrize(
    ("sizes", "fine"),
    [
        ({"h": 4096, "w": 4096}, True),
        ({"h": 4096, "w": 4097}, False),
        ({"h": 2048, "w": 2048, "v": 16}, True),
        ({"h": 2048, "w": 2048, "v": 17}, False),
    ],
)
def test_a_sample_has_a_bounded_size(sizes: dict[str, int], fine: bool) -> None:
    """Headers are read before pixels: what they ask for stays well under 2 GB."""
    if fine:
        check_sizes(sizes)
    else:
        with pytest.raises(ValueError, match="render pairs with less --width"):
            check_sizes(sizes)
