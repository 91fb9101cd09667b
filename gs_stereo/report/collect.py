"""Everything the page shows, read from published folders."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from gs_stereo.audit.scores import REPORT_FILE, AuditReport
from gs_stereo.benchmarks.label_report import Evaluation
from gs_stereo.core.records import read_record
from gs_stereo.datasets.card import collect_facts
from gs_stereo.datasets.schema import ShardSample, read_index
from gs_stereo.imaging.images import read_photo
from gs_stereo.imaging.masks import tinted
from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_sparse_scene, load_summary
from gs_stereo.pipeline.manifest import PublishedFolder, read_manifest
from gs_stereo.pipeline.scene import DATASETS_FOLDER, ScenePaths
from gs_stereo.quality.advice import Advice
from gs_stereo.quality.dataset import DatasetMeasures
from gs_stereo.quality.measure import samples_of
from gs_stereo.quality.verdict import Verdict
from gs_stereo.report.config import ReportConfig
from gs_stereo.report.facts import AuditFacts, CaptureFacts, FitFacts, HeldOutView, MaskedPhoto, ReportFacts
from gs_stereo.report.gather import dataset_pictures, library_licences, lineage
from gs_stereo.report.generated import GeneratedEyes, TrueEyes
from gs_stereo.report.pictures import data_uri, difference
from gs_stereo.splat import folder as splat_folder
from gs_stereo.splat.quality import QUALITY_NAME, FitQuality, ViewQuality
from gs_stereo.stages import reconstruct
from gs_stereo.stages.audit import audit_of
from gs_stereo.stages.evaluate_labels import evaluation_of
from gs_stereo.types.photo_source import PhotoSource

_PICTURE_EDGE_PX = 480
_AUDIT_PICTURES, _AUDIT_EDGE_PX = 3, 1440
_MOST_MASKED, _MASKED_EDGE_PX = 6, 320


def report_facts(
    paths: ScenePaths,
    config: ReportConfig,
    dataset: PublishedFolder,
    numbers: Sequence[int],
    measures: DatasetMeasures,
    verdict: Verdict,
    advice: Advice | None = None,
) -> ReportFacts:
    """What is known about a data set of the scene. numbers: of the measured samples."""
    name, index = dataset.path.name, read_index(dataset.path)
    stages = lineage(paths, f"{DATASETS_FOLDER}/{name}")
    capture = capture_of(paths, dataset.path)
    folder = evaluation_of(paths, name)
    path = paths.published(folder) / "report.json" if folder else None
    generated = GeneratedEyes.of(index.provenance.settings.get("generated_eye"), stages)
    truth_of = true_eyes(paths, config, generated, capture)
    return ReportFacts(
        scene=index.scene,
        dataset=name,
        other_datasets=tuple(sorted(set(paths.datasets()) - {name})),
        index=index,
        card=collect_facts(dataset.path),
        verdict=verdict,
        measures=measures,
        pictures=dataset_pictures(
            samples_of(dataset).read, numbers, measures, index.metres_per_unit or 1.0, generated, truth_of
        ),
        stages=stages,
        licences=library_licences(stages),
        capture=_capture_facts(capture.path) if capture else None,
        audit=_audit_facts(paths, name),
        fit=_fit_facts(paths, config) if any(stage.folder == splat_folder.FOLDER for stage in stages) else None,
        evaluation=read_record(Evaluation, path, fix="run gsstereo evaluate-labels --force") if path else None,
        generated=generated.text if generated else "",
        advice=advice,
    )


def true_eyes(
    paths: ScenePaths, config: ReportConfig, generated: GeneratedEyes | None, capture: PublishedFolder | None
) -> Callable[[ShardSample], np.ndarray | None]:
    """Renders of what generated eyes should see, where the photos are a capture's and it was fitted."""
    fit = paths.published(splat_folder.FOLDER)
    if generated is None or capture is None or read_manifest(fit) is None:
        return lambda sample: None
    return TrueEyes(
        eyes=generated,
        renderer=splat_folder.load_renderer(fit, config.backend),
        cameras={camera.name: camera for camera in load_sparse_scene(capture.path).cameras},
        metres_per_unit=load_summary(capture.path).metres_per_unit,
    )


def capture_of(paths: ScenePaths, dataset_dir: Path) -> PublishedFolder | None:
    """The reconstruction that a data set was made of; None if there is none, or if it was made anew since then.

    A data set without a manifest comes from elsewhere and is compared with what is there.
    """
    folder = paths.published(reconstruct.FOLDER)
    current, dataset = read_manifest(folder), read_manifest(dataset_dir)
    if current is None:
        return None
    used = dataset.parts.get("inputs", {}).get(reconstruct.FOLDER) if dataset else None
    same = used in (None, current.fingerprint)
    return PublishedFolder(path=folder, fingerprint=current.fingerprint) if same else None


def _capture_facts(folder: Path) -> CaptureFacts:
    summary, photos = load_summary(folder), PhotosOfReconstruction(folder)
    masked = _most_masked(summary.masked_shares, photos, photos.mask)
    return CaptureFacts(summary=summary, scene=load_sparse_scene(folder), masked=masked)


def _most_masked(
    shares: Mapping[str, float], photos: PhotoSource, shown: Callable[[str], Bool[np.ndarray, "h w"] | None]
) -> tuple[MaskedPhoto, ...]:
    most = sorted(shares.items(), key=lambda entry: (-entry[1], entry[0]))[:_MOST_MASKED]
    return tuple(
        MaskedPhoto(name=name, share=share, picture=data_uri(tinted(photos(name), shown(name)), _MASKED_EDGE_PX))
        for name, share in most
    )


def _transients(reconstruction: Path, fit: Path) -> tuple[MaskedPhoto, ...]:
    """The photos in which most was found before the scene."""
    photos = splat_folder.load_photos(reconstruction, fit)
    found = {name: photos.transient(name) for name in load_summary(reconstruction).image_files}
    shares = {name: float(mask.mean()) for name, mask in found.items() if mask is not None}
    return _most_masked(shares, photos, photos.mask)


def _audit_facts(paths: ScenePaths, dataset: str) -> AuditFacts | None:
    """Figures and pictures of an audit of this data set, if there is one."""
    folder = audit_of(paths, dataset)
    if folder is None:
        return None
    path = paths.published(folder)
    report = read_record(AuditReport, path / REPORT_FILE, fix="run `gsstereo audit --force`")
    pictures = sorted(path.glob("*.png"))
    chosen = pictures[:: -(-len(pictures) // _AUDIT_PICTURES)] if pictures else []
    uris = {picture.stem: data_uri(read_photo(picture), _AUDIT_EDGE_PX) for picture in chosen}
    return AuditFacts(report=report, pictures=uris)


def _fit_facts(paths: ScenePaths, config: ReportConfig) -> FitFacts | None:
    """Curves and held-out renders of the splat, if it was fitted here (an imported one has neither)."""
    folder = paths.published(splat_folder.FOLDER)
    manifest, path = read_manifest(folder), folder / QUALITY_NAME
    if manifest is None or not path.is_file():
        return None
    quality = read_record(FitQuality, path, fix="run gsstereo fit --force")
    return FitFacts(
        appearance=splat_folder.load_appearance(folder),
        transients=_transients(paths.published(reconstruct.FOLDER), folder),
        curves=quality.curves,
        held_out=_held_out(paths, config, {view.name: view for view in quality.held_out}),
        held_out_count=len(quality.held_out),
        metrics=manifest.metrics,
    )


def _held_out(paths: ScenePaths, config: ReportConfig, scores: Mapping[str, ViewQuality]) -> tuple[HeldOutView, ...]:
    """The held-out photos beside new renders of them. They are spread evenly if there are many."""
    folder = paths.published(reconstruct.FOLDER)
    cameras = [camera for camera in load_sparse_scene(folder).cameras if camera.name in scores]
    if not cameras or not config.max_held_out:
        return ()
    renderer = splat_folder.load_renderer(paths.published(splat_folder.FOLDER), config.backend)
    photos = splat_folder.load_photos(folder, paths.published(splat_folder.FOLDER))
    views = []
    for camera in cameras[:: -(-len(cameras) // config.max_held_out)]:
        photo, render = photos(camera.name), renderer.render([camera])[0].image
        pictures = {"photo": photo, "render": render, "difference": difference(render, photo)}
        uris = {name: data_uri(picture, _PICTURE_EDGE_PX) for name, picture in pictures.items()}
        score = scores[camera.name]
        views.append(HeldOutView(name=camera.name, psnr_db=score.psnr_db, ssim=score.ssim, **uris))
    return tuple(views)
