"""What was photographed and how well the splat shows it: cameras, points, held-out photos, training curves."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gs_stereo.core.markup import Child, Markup, el
from gs_stereo.imaging.charts import Axes, Series, line_chart
from gs_stereo.quality.advice import advised_camera
from gs_stereo.report.cloud import cloud_picture
from gs_stereo.report.facts import CaptureFacts, FitFacts, MaskedPhoto, ReportFacts
from gs_stereo.report.markup import figure, pairs_list, section, table
from gs_stereo.splat.appearance import Appearance

_LISTED_FAILURES = 30
_MEAN_OF = 15
_CURVES = {"loss": "Training loss", "count": "Gaussians"}


def capture_section(facts: ReportFacts) -> Markup | None:
    """Registered photos and the sparse model."""
    capture = facts.capture
    if capture is None:
        return None
    used = sorted({sample.view_id for sample in facts.measures.samples})
    picture = figure(
        cloud_picture(capture.scene, used) if capture.scene.cameras else el("p", "No camera.", class_="quiet"),
        "Sparse points and cameras, seen obliquely from above; cameras whose view is in the dataset are highlighted.",
    )
    return section(
        "Capture",
        "capture",
        el("p", capture.summary.sentence()),
        picture,
        pairs_list(_numbers(capture)),
        _masked(
            capture.masked,
            "Photos of which masks leave out most: red is neither matched nor fitted; other photos may show what is "
            "there.",
        ),
        _failed(capture),
    )


def advice_section(facts: ReportFacts) -> Markup | None:
    """Where the next photos should be taken, from above."""
    capture, advice = facts.capture, facts.advice
    if capture is None or advice is None:
        return None
    cameras = [
        replace(advised_camera(photo, capture.scene), name=f"photo {number}")
        for number, photo in enumerate(advice.photos, 1)
    ]
    shown = replace(capture.scene, cameras=(*capture.scene.cameras, *cameras))
    picture = figure(
        cloud_picture(shown, [camera.name for camera in cameras]),
        "Sparse points and cameras, seen obliquely from above; the photos to take are highlighted.",
    )
    gain = f"Witnesses of surfaces would rise from {advice.confirmed_share:.0%} to {advice.confirmed_share_then:.0%}."
    said = el("ol", (el("li", photo.sentence) for photo in advice.photos))
    return section("Next photos", "advice", el("p", gain, class_="quiet"), said, picture)


def _numbers(capture: CaptureFacts) -> list[tuple[str, Child]]:
    summary = capture.summary
    error, track, focal = summary.mean_reprojection_error_px, summary.mean_track_length, summary.median_focal_px
    scale = "unknown" if summary.metres_per_unit is None else f"{summary.metres_per_unit:g} m per unit"
    masked = list(summary.masked_shares.values())
    return [
        ("Registered", f"{len(summary.image_files)} of {summary.num_photos}"),
        ("Points", f"{summary.num_points:,}"),
        ("Reprojection error", "-" if error is None else f"{error:.2f} px"),
        ("Photos a point", "-" if track is None else f"{track:.1f}"),
        ("Focal length", "-" if focal is None else f"{focal:.0f} px"),
        *([("Masked", f"{np.mean(masked):.1%} of {len(masked)} photos")] if masked else []),
        ("Scale", el("span", scale, " ", el("small", f"source: {summary.scale_source.replace('_', ' ')}"))),
    ]


def _masked(photos: Sequence[MaskedPhoto], said: str) -> Markup | None:
    if not photos:
        return None
    pictures = [
        figure(
            el("img", src=photo.picture, alt=f"mask of {photo.name}", loading="lazy"),
            f"{photo.name}: {photo.share:.1%}",
        )
        for photo in photos
    ]
    return el("div", el("p", said, class_="quiet"), el("div", pictures, class_="grid"))


def _failed(capture: CaptureFacts) -> Markup | None:
    failed = list(capture.summary.failed.items())
    notes = [el("p", note, class_="quiet below") for note in capture.summary.notes]
    if not failed:
        return el("div", notes) if notes else None
    rows = failed[:_LISTED_FAILURES]
    more = f"{len(failed) - len(rows)} more are in reconstruction.json." if len(failed) > len(rows) else None
    return el(
        "div",
        notes,
        el("h3", "Photos that were not used"),
        table(("Photo", "Why"), rows, class_="cards"),
        el("p", more, class_="quiet") if more else None,
    )


def fit_section(facts: ReportFacts) -> Markup | None:
    """Held-out photos beside their renders, and the curves of the fit."""
    fit = facts.fit
    if fit is None:
        return None
    found = "Found before the scene in single photos: red is not fitted, not compared with and not matched."
    return section(
        "Splat", "splat", _held_out(fit), _masked(fit.transients, found), _appearance(fit.appearance), _curves(fit)
    )


def _held_out(fit: FitFacts) -> Markup:
    if not fit.held_out:
        return el("p", "No photo was held out, so the quality of new views was not measured.", class_="quiet")
    count = len(fit.held_out)
    shown = "" if count == fit.held_out_count else f"; {count} of {fit.held_out_count} are shown"
    intro = (
        "Photos that the fit never saw, beside the render from the same place. They are a hard test: a photo at the "
        f"end of a walk lies outside of what was seen{shown}."
    )
    figures = []
    for view in fit.held_out:
        pictures = [
            el("div", el("img", src=source, alt=f"{name} of {view.name}", loading="lazy"), el("span", name))
            for name, source in (("photo", view.photo), ("render", view.render), ("difference", view.difference))
        ]
        caption = f"{view.name}: PSNR {view.psnr_db:.2f} dB, SSIM {view.ssim:.3f}"
        figures.append(figure(el("div", pictures, class_="trio"), caption))
    return el("div", el("p", intro, class_="quiet"), el("div", figures, class_="grid"))


def _appearance(found: Appearance) -> Markup | None:
    """What was undone in the photos: their exposure, and the darkest corner."""
    if not found.photos:
        return None
    exposures = np.array([photo.exposure_ev for photo in found.photos])
    corner_ev = min(sum(photo.falloff_ev) for photo in found.photos)
    dark = f" and corners that are {-corner_ev:.1f} EV darker than the centre" if corner_ev < -0.05 else ""
    text = (
        f"The photos differ in exposure by {np.ptp(exposures):.2f} EV{dark}. Exposure, colour and vignette were undone "
        "before the fit; pairs have one exposure."
    )
    series = [Series(name="", x=np.arange(1, len(exposures) + 1, dtype=np.float64), y=exposures, dots=True)]
    axes = Axes(x_label="photo, by name", y_label="EV")
    return el(
        "div",
        el("h3", "Exposure of the photos"),
        el("p", text, class_="quiet"),
        el("div", figure(line_chart(series, axes, title="Exposure of the photos"), None), class_="grid"),
    )


def _curves(fit: FitFacts) -> Markup | None:
    if len(fit.curves) < 2:
        return None
    iterations = np.array([record.iteration for record in fit.curves])
    charts, axes = [], Axes(x_label="step", y_label="")
    for name, title in _CURVES.items():
        values = np.array([getattr(record, name) for record in fit.curves], dtype=np.float64)
        if not np.isfinite(values).any():
            continue
        series = [Series(name="each step" if name == "loss" else "", x=iterations, y=values)]
        if name == "loss" and len(values) >= 20:
            # A running mean, of fewer values at the ends.
            window = np.ones(_MEAN_OF)
            mean = np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
            series = [
                Series(name="each step", x=iterations, y=values, style="guide"),
                Series(name=f"mean of {_MEAN_OF}", x=iterations, y=mean),
            ]
        charts.append(figure([el("h3", title), line_chart(series, axes, title=title)], None))
    return el("div", el("h3", "Training"), el("div", charts, class_="grid")) if charts else None
