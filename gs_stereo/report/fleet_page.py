"""The overview of a fleet: one line a scene with its verdict, its stages and a link to its report. Plain HTML."""

import os
from collections.abc import Sequence
from pathlib import Path

from gs_stereo.core.markup import Markup, el
from gs_stereo.io.remote import Place
from gs_stereo.log import duration
from gs_stereo.pipeline.jobs import JobList, JobScene, SceneState
from gs_stereo.report.page import html_page

_VERDICT_STAGE = "report"
_PAGE = "index.html"


def fleet_page(jobs: JobList, states: Sequence[SceneState], *, beside: Path) -> str:
    """The page as HTML. states: of each scene. beside: the folder it will lie in, for links that survive a move."""
    cells = sum(state.finished for state in states)
    aside = sum(bool(state.reason) for state in states)
    lead = f"{cells} of {jobs.cell_count} cells are done; {aside} of {len(jobs.scenes)} scenes are set aside."
    head = el("tr", [el("th", text) for text in ("scene", *(step.stage for step in jobs.steps), "verdict", "why")])
    rows = [_row(jobs, scene, state, beside) for scene, state in zip(jobs.scenes, states, strict=True)]
    table = el("section", el("h2", "Scenes"), el("table", el("thead", head), el("tbody", rows)), id="scenes")
    return html_page("Fleet", "Fleet", (lead,), (("Scenes", "scenes", table),))


def _row(jobs: JobList, scene: JobScene, state: SceneState, beside: Path) -> Markup:
    texts, verdict = list[str](), Markup("")
    for number, (step, record) in enumerate(zip(jobs.steps, state.records or [None] * len(jobs.steps), strict=True)):
        done = number < state.finished and record is not None
        texts.append(duration(record.seconds) if done and record else "failed" if number == state.failed_step else "")
        if done and record and step.stage == _VERDICT_STAGE:
            link = _link(Place(scene.output).child(f"{step.folder}/{_PAGE}"), beside)
            verdict = el("a", record.summary.get("verdict", "report"), href=link)
    return el("tr", el("td", scene.name), [el("td", text) for text in texts], el("td", verdict), el("td", state.reason))


def _link(page: Place, beside: Path) -> str:
    return os.path.relpath(page.local, beside) if page.is_local else page.url
