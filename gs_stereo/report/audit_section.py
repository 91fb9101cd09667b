"""The labels measured on objects that were planted into the photos."""

import numpy as np

from gs_stereo.core.markup import Markup, el
from gs_stereo.report.facts import ReportFacts
from gs_stereo.report.markup import figure, section, table

_HEADER = ("place", "objects", "coverage, %", "EPE, px", "bad-1, %", "bad-2, %", "promised bad-1, %", "ECE")


def audit_section(facts: ReportFacts) -> Markup | None:
    """Figures with their intervals, and pictures; None without an audit."""
    if facts.audit is None:
        return None
    report = facts.audit.report
    rows = [
        (
            scores.region,
            str(scores.objects),
            scores.coverage.text(100, 1),
            scores.epe_px.text(1, 3),
            scores.bad_1.text(100, 2),
            scores.bad_2.text(100, 2),
            "-" if np.isnan(scores.promised_bad_1) else f"{100 * scores.promised_bad_1:.2f}",
            "-" if np.isnan(scores.ece) else f"{scores.ece:.3f}",
        )
        for scores in report.regions
    ]
    f1 = "not measured" if np.isnan(report.occlusion_f1) else f"{report.occlusion_f1:.2f}"
    lead = (
        f"{report.objects} objects of exactly known shape were drawn into the photos, and the photos were fitted, "
        "rendered and labelled again in the same way. So wrong are the labels on the objects, where both eyes see "
        "them, with 95 % intervals over objects. The line all mixes the kinds as the photos do."
    )
    limits = (
        "Not seen by this: errors of the camera poses and of the scale, which move objects and photos alike "
        f"({_residual(report.mean_reprojection_error_px)}), and what is real only: materials, reflections, movement. "
    )
    pictures = [
        figure(
            el("img", src=uri, alt=f"Audit of {name}", loading="lazy"), f"{name}: planted view, its label, its error"
        )
        for name, uri in facts.audit.pictures.items()
    ]
    return section(
        "Audit",
        "audit",
        el("p", lead),
        table(_HEADER, rows, class_="cards"),
        el(
            "p",
            f"Of the capture's own labels {report.own.bad_1.text(100, 2)} % are wrong by more than 1 px, by what their "
            f"confidence means on objects; it promises {100 * report.own.promised_bad_1:.2f} %.",
        ),
        el("p", f"Pixels that objects hide from the right eye: F1 {f1} of the flag occluded. ", limits, report.poses()),
        pictures,
    )


def _residual(error_px: float | None) -> str:
    return "their reprojection error is not known" if error_px is None else f"reprojection error {error_px:.2f} px"
