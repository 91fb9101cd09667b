"""The licence of a data set is never more permissive than what its photos and its expert declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from gs_stereo.config import load_yaml
from gs_stereo.datasets.licences import dataset_licence
from gs_stereo.matching.foundation_stereo import LICENCE

ROOT = Path(__file__).parents[3]
NON_COMMERCIAL = [LICENCE, "CC-BY-NC (non-commercial)", "cc-by-nc-4.0", "Research only", "noncommercial use"]
FREE = ["no expert weights", "Apache-2.0", "MIT", "BSD-3-Clause"]


@pytest.mark.parametrize("expert", NON_COMMERCIAL)
@pytest.mark.parametrize("photos", [None, "cc-by-4.0", "cc0-1.0", "my terms", "cc-by-nc-sa-4.0"])
def test_a_non_commercial_expert_makes_a_non_commercial_data_set(expert: str, photos: str | None) -> None:
    assert dataset_licence(photos, expert).non_commercial


@pytest.mark.parametrize("expert", FREE)
def test_a_free_expert_leaves_the_photos_licence(expert: str) -> None:
    assert dataset_licence("CC-BY-SA-4.0", expert).identifier == "cc-by-sa-4.0"
    assert dataset_licence(None, expert).identifier == "unknown"
    assert dataset_licence("unknown", expert).identifier == "unknown"
    assert dataset_licence("cc-by-nc-4.0", expert).non_commercial


@pytest.mark.parametrize(
    ("photos", "expert", "identifier", "name"),
    [
        ("cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-4.0", None),
        ("cc-by-nc-4.0", "cc-by-nc-4.0", "cc-by-nc-4.0", None),
        ("cc-by-sa-4.0", "cc-by-nc-4.0", "other", "non-commercial-expert"),
        (None, "cc-by-nc-4.0", "other", "non-commercial-expert"),
        ("cc-by-nc-4.0", "cc-by-4.0", "other", "non-commercial-photos"),
        ("cc-by-4.0", "LicenseRef-NVIDIA-Open-Model-Agreement", "other", "terms-of-photos-and-expert"),
        ("All rights | reserved, ACME", "MIT", "other", "all-rights-reserved-acme"),
        ("non commercial, ACME", "MIT", "other", "non-commercial-acme"),
    ],
)
def test_two_sources(photos: str | None, expert: str, identifier: str, name: str | None) -> None:
    licence = dataset_licence(photos, expert)
    assert (licence.identifier, licence.name) == (identifier, name)
    assert (licence.name is None) == (licence.identifier != "other")
    assert licence.reason.endswith(".")


def test_unknown_photos_never_get_a_licence() -> None:
    for expert in (*FREE, *NON_COMMERCIAL, "whatever", "cc-by-4.0"):
        assert dataset_licence(None, expert).identifier in ("unknown", "other")


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "experts").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_shipped_expert_is_taken_for_more_than_it_allows(path: Path) -> None:
    expert = str(load_yaml(path)["licence"])
    licence = dataset_licence("cc-by-4.0", expert)
    assert licence.non_commercial == ("NC" in expert)
    assert licence.identifier == ("cc-by-4.0" if expert in FREE else "other")


def test_texts_from_outside_stay_in_their_line() -> None:
    lines = dataset_licence("evil\n# title | x", "a\nb").card_lines()
    assert not any("\n" in line for line in lines)
    assert dataset_licence("cc-by-4.0", "MIT").url == "https://creativecommons.org/licenses/by/4.0/"
