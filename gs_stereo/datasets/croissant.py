"""Croissant metadata of a dataset: `croissant.json`, JSON-LD by the MLCommons Croissant format, version 1.1.

It names every shard with its sha256 and describes every column. Two things cannot be said in version 1.1 and stand in
the descriptions: that the columns are datasets of an HDF5 file, and that NaN is no label. There is no date in it,
because the same run must give the same bytes.
"""

from collections.abc import Mapping
from typing import Any

from gs_stereo.core.records import json_text
from gs_stereo.datasets.licences import DatasetLicence, licence_of
from gs_stereo.datasets.schema import FORMAT_VERSION, SHARD_COLUMNS, TEXT_COLUMNS, DatasetIndex

CROISSANT_NAME = "croissant.json"
_VERSION = "http://mlcommons.org/croissant/1.1"
_SHARDS = "shards"
_HDF5 = "application/x-hdf5"
_TYPES = {"uint8": "cr:UInt8", "uint16": "cr:UInt16", "float32": "cr:Float32", "float64": "cr:Float64"}
# Terms of the Croissant vocabulary that are not schema.org's own, as its specification lists them.
_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
    *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant(index: DatasetIndex, stack_views: int = 0, *, stack_depth: bool = False) -> str:
    """The metadata as JSON text; the same index gives the same text.

    stack_views: images of an N-view stack, or 0. stack_depth: whether the shards have their depth.
    """
    return _metadata({"": index}, licence_of(index), stack_views, stack_depth)


def croissant_of_splits(
    indices: Mapping[str, DatasetIndex], licence: DatasetLicence, stack_views: int = 0, *, stack_depth: bool = False
) -> str:
    """The same of a data set whose splits lie in folders of their names."""
    return _metadata({f"{split}/": index for split, index in indices.items()}, licence, stack_views, stack_depth)


def _metadata(parts: Mapping[str, DatasetIndex], licence: DatasetLicence, stack_views: int, stack_depth: bool) -> str:
    """parts: folder, with its slash, -> index."""
    index = next(iter(parts.values()))
    samples = sum(each.sample_count for each in parts.values())
    values = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _VERSION,
        "name": f"{index.scene}, stereo, {index.label} labels",
        "description": f"{samples} rectified stereo pairs of {index.width}x{index.height} px, rendered from "
        f"a Gaussian splat of photos by {index.generator}, with disparity labels by {index.provenance.name}. "
        f"Licence: {licence.reason}",
        "license": licence.url or licence.name or licence.identifier,
        "version": f"{FORMAT_VERSION}.0.0",
        "distribution": _files(parts),
        "recordSet": [_records(index, stack_views, stack_depth)],
    }
    return json_text(values, indent=2)


def _files(parts: Mapping[str, DatasetIndex]) -> list[dict[str, Any]]:
    entries = [(f"{folder}{entry.file}", entry) for folder, index in parts.items() for entry in index.shards]
    shards: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "description": f"HDF5 shard of {entry.count} samples; compression=zstd needs hdf5plugin.",
            "contentUrl": name,
            "contentSize": f"{entry.bytes} B",
            "encodingFormat": _HDF5,
            "sha256": entry.sha256,
        }
        for name, entry in entries
    ]
    patterns = [f"{folder}{index.split}-*.h5" for folder, index in parts.items()]
    together = {
        "@type": "cr:FileSet",
        "@id": _SHARDS,
        "name": _SHARDS,
        "description": "All shards; each column is an HDF5 dataset whose first axis counts the samples.",
        "containedIn": [{"@id": name} for name, _ in entries],
        "encodingFormat": _HDF5,
        "includes": patterns[0] if len(patterns) == 1 else patterns,
    }
    return [*shards, together]


def _records(index: DatasetIndex, stack_views: int, stack_depth: bool) -> dict[str, Any]:
    sizes = {"h": index.height, "w": index.width, "v": stack_views}
    fields = [
        _field(name, column.meaning, _TYPES[column.dtype], column.shape(sizes))
        for name, column in SHARD_COLUMNS.items()
        if not column.is_of_stack or (stack_depth if name == "view_depth" else stack_views)
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "One labelled stereo pair.",
        "key": {"@id": "samples/sample_id"},
        "field": [*(_field(name, meaning, "sc:Text", ()) for name, meaning in TEXT_COLUMNS.items()), *fields],
    }


def _field(name: str, meaning: str, kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    array = {"isArray": True, "arrayShape": ",".join(map(str, shape))} if shape else {}
    return {
        "@type": "cr:Field",
        "@id": f"samples/{name}",
        "name": name,
        "description": meaning,
        "dataType": kind,
        **array,
        "source": {"fileSet": {"@id": _SHARDS}, "extract": {"column": name}},
    }
