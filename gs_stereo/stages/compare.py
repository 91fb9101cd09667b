"""Scores of several nets -> one table in `comparison/`, as JSON, Markdown and CSV."""

from pydantic import Field

from gs_stereo.benchmarks.comparison import MEASURES, Measure, compare
from gs_stereo.config import Config
from gs_stereo.core.atomic import write_text
from gs_stereo.core.records import json_text, read_object
from gs_stereo.errors import ConfigError
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.stages.evaluate import SCORES_NAME, scores_folder

FOLDER = "comparison"
TABLE_NAME = "table.json"


class CompareConfig(Config):
    """Which scores stand in which row."""

    rows: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Row -> names of the scores of its runs; `gsstereo experiment` fills it."
    )
    start: str = Field(default="start", description="The row that changes are relative to.")
    against: str | None = Field(
        default=None, description="The row to which the others get 95 % intervals of their difference; null: none."
    )
    measures: tuple[Measure, ...] = Field(default=MEASURES, description="The columns.")
    caption: str = Field(default="", description="A sentence below the table.")


class CompareStage(Stage):
    """Publishes `table.json`, `table.md` and `table.csv`."""

    name = "compare"
    version = 1
    config_type = CompareConfig

    def folder(self, config: CompareConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: CompareConfig) -> StageInputs:
        if not config.rows.get(config.start) or not all(config.rows.values()):
            raise ConfigError(f"The table needs the row {config.start!r} and scores in every row; set compare.rows.")
        if config.against is not None and config.against not in config.rows:
            known = ", ".join(config.rows)
            raise ConfigError(f"The table has no row {config.against!r}; set compare.against to one of: {known}.")
        names = [name for runs in config.rows.values() for name in runs]
        return StageInputs(published={scores_folder(name): "experiment" for name in names})

    def resources(self, config: CompareConfig) -> Resources:
        return Resources()

    def run(self, context: StageContext, config: CompareConfig) -> StageOutcome:
        rows = {
            row: [
                read_object(context.published(scores_folder(name)) / SCORES_NAME, fix="run the experiment again")
                for name in runs
            ]
            for row, runs in config.rows.items()
        }
        table = compare(
            rows, start=config.start, against=config.against, measures=config.measures, caption=config.caption
        )
        text = table.to_markdown()
        write_text(context.work_dir / TABLE_NAME, json_text(table.to_json()))
        write_text(context.work_dir / "table.md", text)
        write_text(context.work_dir / "table.csv", table.to_csv())
        return StageOutcome(summary={"rows": str(len(rows))}, text=text.rstrip())
