"""Which licence a data set may carry, from what its photos and the expert that labelled it declare.

The answer is an identifier of Hugging Face's list where one fits, `other` with a name where conditions meet that have
no common identifier, and `unknown` where the photos' licence is not known. Nothing is ever made more permissive than
its sources: unknown photos stay unknown, and a non-commercial expert makes a non-commercial data set.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gs_stereo.datasets.schema import DatasetInfo

UNKNOWN = "unknown"
OTHER = "other"
PHOTO_LICENCE = "photo_licence"
"""Key of `DatasetInfo.config` under which the user's word about the photos is stored."""

# Conditions on software or weights that do not reach what the software puts out.
_FREE_FOR_RESULTS = frozenset(
    {"no expert weights", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "isc", "mit", "unlicense"}
)
_CREATIVE_COMMONS = {
    f"cc-{kind}-{version}"
    for kind in ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd")
    for version in ("2.0", "2.5", "3.0", "4.0")
}
_IDENTIFIERS = frozenset(_CREATIVE_COMMONS | (_FREE_FOR_RESULTS - {"no expert weights"}) | {"odbl", "odc-by", "pddl"})
_PERMISSIVE = re.compile(r"cc0-1\.0|cc-by-[0-9.]+|mit|apache-2\.0|bsd.*|isc|unlicense|odc-by|pddl")
_NON_COMMERCIAL = re.compile(
    r"non.?commercial|(academic|research) (use|purposes)|research only|(?<![a-z])nc(?![a-z])", re.IGNORECASE
)
_URLS = {
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "mit": "https://opensource.org/license/mit",
}


@dataclass(frozen=True, kw_only=True)
class DatasetLicence:
    """identifier: of Hugging Face's list. name: a short name where that is `other`. reason: one plain sentence."""

    identifier: str
    reason: str
    photos: str
    expert: str
    name: str | None = None

    @property
    def non_commercial(self) -> bool:
        return any(is_non_commercial(text) for text in (self.identifier, self.name or ""))

    @property
    def url(self) -> str | None:
        """Where the text of a well-known licence is."""
        if self.identifier in _CREATIVE_COMMONS:
            kind, version = self.identifier[3:].rsplit("-", 1)
            return f"https://creativecommons.org/licenses/{kind}/{version}/"
        return _URLS.get(self.identifier)

    def yaml_lines(self) -> list[str]:
        """The fields of a Hugging Face card."""
        return [f"license: {self.identifier}", *([f"license_name: {self.name}"] if self.name else [])]

    def card_lines(self) -> list[str]:
        """The licence in words, as a list in Markdown."""
        return [
            f"- photos: {one_line(self.photos)}",
            f"- expert that made the labels, and its weights: {one_line(self.expert)}",
            f"- so this data set: {self.name or self.identifier}. {self.reason}",
        ]


def is_non_commercial(text: str) -> bool:
    """True if a licence text or identifier says so in the usual words."""
    return _NON_COMMERCIAL.search(text) is not None


def licence_of(info: DatasetInfo, photo_licence: str | None = None) -> DatasetLicence:
    """The licence of a data set; `photo_licence` overrules what the data set knows about its photos."""
    known = photo_licence or info.config.get(PHOTO_LICENCE)
    return dataset_licence(str(known) if known else None, info.provenance.licence)


def dataset_licence(photos: str | None, expert: str) -> DatasetLicence:
    """The strictest reading of both sources. `photos` None = unknown."""
    photo_id, expert_id = _identifier(photos or UNKNOWN), _identifier(expert)
    sources = {"photos": photos or UNKNOWN, "expert": expert}
    if expert_id in _FREE_FOR_RESULTS:
        return _by_photos(photo_id, sources)
    if photo_id == expert_id and photo_id in _IDENTIFIERS:
        return DatasetLicence(identifier=photo_id, reason="Photos and labels stand under the same one.", **sources)
    if _PERMISSIVE.fullmatch(photo_id) and expert_id in _IDENTIFIERS:
        return DatasetLicence(identifier=expert_id, reason="The labels bring the stricter conditions.", **sources)
    if is_non_commercial(expert) or is_non_commercial(photo_id):
        who = "expert" if is_non_commercial(expert) else "photos"
        return DatasetLicence(
            identifier=OTHER,
            name=f"non-commercial-{who}",
            reason=f"Commercial use is excluded by the {who}; the terms of both sources apply.",
            **sources,
        )
    return DatasetLicence(
        identifier=OTHER, name="terms-of-photos-and-expert", reason="The terms of both sources apply.", **sources
    )


def combined_licence(licences: Mapping[str, DatasetLicence]) -> DatasetLicence:
    """The licence of a data set of several scenes, by name: nothing is more permissive than the strictest of them."""
    found = list(licences.values())
    sources = {
        "photos": "; ".join(sorted({each.photos for each in found})),
        "expert": "; ".join(sorted({each.expert for each in found})),
    }
    if len({(each.identifier, each.name) for each in found}) == 1:
        return replace(found[0], **sources)
    unknown = sorted(name for name, each in licences.items() if each.identifier == UNKNOWN)
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return DatasetLicence(
            identifier=UNKNOWN, reason=f"The licence of the photos of {unknown[0]}{more} was not given.", **sources
        )
    name = "non-commercial-mixed" if any(each.non_commercial for each in found) else "terms-of-each-scene"
    return DatasetLicence(
        identifier=OTHER, name=name, reason="The scenes have different licences; each holds for its scene.", **sources
    )


def _by_photos(photo_id: str, sources: dict[str, str]) -> DatasetLicence:
    """The label source imposes nothing: the photos decide."""
    if photo_id == UNKNOWN:
        reason = "The label source imposes no conditions; the photos' licence was not given."
        return DatasetLicence(identifier=UNKNOWN, reason=reason, **sources)
    reason = "The label source imposes no conditions; the photos' licence holds."
    if photo_id in _IDENTIFIERS:
        return DatasetLicence(identifier=photo_id, reason=reason, **sources)
    name = re.sub(r"[^a-z0-9.]+", "-", photo_id).strip("-") or "photo-licence"
    if is_non_commercial(photo_id) and not is_non_commercial(name):
        name = f"non-commercial-{name}"
    return DatasetLicence(identifier=OTHER, name=name, reason=reason, **sources)


def _identifier(text: str) -> str:
    return one_line(text).lower()


def one_line(text: str) -> str:
    """A text from outside as one line that cannot break a Markdown table or list."""
    return " ".join(text.split()).replace("|", "\\|")
