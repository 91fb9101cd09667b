"""The stages by name, and the recipe of `gsstereo run`. Nothing else in the package lists them."""

from gs_stereo.pipeline.recipe import Recipe, RecipeEntry
from gs_stereo.pipeline.stage import Stages

STAGES = Stages(
    kind="stage",
    builtin={
        "reconstruct": "gs_stereo.stages.reconstruct:ReconstructStage",
        "import": "gs_stereo.stages.import_cameras:ImportCamerasStage",
        "import-splat": "gs_stereo.stages.import_splat:ImportSplatStage",
        "fit": "gs_stereo.stages.fit:FitStage",
        "render-pairs": "gs_stereo.stages.render_pairs:RenderPairsStage",
        "synthesize": "gs_stereo.stages.synthesize:SynthesizeStage",
        "label": "gs_stereo.stages.label:LabelStage",
        "evaluate-labels": "gs_stereo.stages.evaluate_labels:EvaluateLabelsStage",
        "plant": "gs_stereo.stages.plant:PlantStage",
        "audit": "gs_stereo.stages.audit:AuditStage",
        "report": "gs_stereo.report.stage:ReportStage",
        "sample-pairs": "gs_stereo.stages.sample_pairs:SamplePairsStage",
        "train": "gs_stereo.stages.train:TrainStage",
        "train-synthesis": "gs_stereo.stages.train_synthesis:TrainSynthesisStage",
        "evaluate": "gs_stereo.stages.evaluate:EvaluateStage",
        "compare": "gs_stereo.stages.compare:CompareStage",
    },
)

DEFAULT_RECIPE = Recipe(
    description="photos -> cameras -> splat -> rectified pairs -> labelled shards -> report",
    stages=tuple(RecipeEntry(stage=name) for name in ("reconstruct", "fit", "render-pairs", "label", "report")),
)
