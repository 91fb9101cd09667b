"""The graph of cells: a recipe unfolded over scenes, what would happen to each cell, and the running of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gs_stereo.config import parse_config
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.pipeline.cell import Cell, Executor, StageReport
from gs_stereo.pipeline.chain import Chain
from gs_stereo.pipeline.fingerprint import HashCache
from gs_stereo.pipeline.recipe import Step
from gs_stereo.pipeline.runner import Run, assess, execute, hash_cache, take_parts
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stages


def make_cell(step: Step, paths: ScenePaths, *, key: str, seed: int, needs: tuple[str, ...] = ()) -> Cell:
    """The cell that runs `step` on a scene."""
    return Cell(
        key=key,
        scene=str(paths.scene),
        output=str(paths.output),
        folder=step.folder,
        stage=step.name,
        config=step.config.model_dump(mode="json"),
        seed=seed,
        resources=step.stage.resources(step.config),
        needs=needs,
    )


def load_cell(cell: Cell, stages: Stages) -> Run:
    """The cell with its stage and its settings."""
    stage = stages.load(cell.stage)()
    config = parse_config(stage.config_type, cell.config, where=f"the settings of {cell.stage}")
    return Run(stage=stage, config=config, paths=cell.paths, seed=cell.seed)


def unfold(steps: Sequence[Step], scenes: Sequence[ScenePaths], seed: int) -> list[Cell]:
    """The steps once for each scene, scene after scene. A cell needs all that are before it in its scene."""
    scene_names, step_names = [paths.name for paths in scenes], [step.name for step in steps]
    cells: list[Cell] = []
    for paths in scenes:
        scene = paths.name if scene_names.count(paths.name) == 1 else str(paths.scene)
        before: tuple[str, ...] = ()
        for step in steps:
            key = f"{step.name} {scene}"
            if step_names.count(step.name) > 1:
                key = f"{key} {Path(step.folder).name}"
            cells.append(make_cell(step, paths, key=key, seed=seed, needs=before))
            before = (*before, key)
    keys = [cell.key for cell in cells]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ConfigError(f"The recipe makes {twice[0]} twice; leave one out, or give its result another name.")
    return cells


@dataclass(frozen=True, kw_only=True)
class CellStatus:
    """What would happen to a cell.

    state: as of `Assessment`, or `blocked` where what it reads from outside is missing (see reason). waits_for: the
    first cell it needs that is not up to date.
    """

    cell: Cell
    state: str
    reason: str
    waits_for: str | None


def assess_cells(cells: Sequence[Cell], stages: Stages) -> list[CellStatus]:
    """What running the cells would do. Changes nothing. A cell is stale too when one whose result it reads is."""
    known: dict[Path, str] = {}  # published folder -> the fingerprint it has or will have
    hashes: dict[str, HashCache] = {}
    found: dict[str, CellStatus] = {}
    for cell in cells:
        run = load_cell(cell, stages)
        try:
            Chain(cell.paths, stages).check(name for name in _reads(run) if cell.paths.published(name) not in known)
            cache = hashes.setdefault(cell.output, hash_cache(cell.paths))
            parts = take_parts(run, known=known, hashes=cache)
        except InputError as error:
            state, reason = "blocked", str(error)
        else:
            answer = assess(run, parts)
            state, reason = answer.state, answer.reason
            kept = answer.manifest if state == "up to date" else None
            known[cell.published] = kept.fingerprint if kept else parts.fingerprint
        late = next((key for key in cell.needs if found[key].state != "up to date"), None)
        found[cell.key] = CellStatus(cell=cell, state=state, reason=reason, waits_for=late)
    return list(found.values())


def run_cell(cell: Cell, executor: Executor, *, stages: Stages, force: bool = False) -> StageReport:
    """Bring one cell up to date, with its units of work on `executor`. Errors are those of `execute`.

    InputError too if a folder that it reads is not up to date: whoever wants that made again has its cell run before.
    """
    run = load_cell(cell, stages)
    Chain(run.paths, stages).check(_reads(run))
    return execute(run, executor, force=force)


def _reads(run: Run) -> list[str]:
    """The published folders that a cell stands on."""
    return list(run.stage.inputs(run.paths, run.config).published)
