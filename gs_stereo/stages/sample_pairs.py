"""Nothing -> a data set of procedural training pairs with exact disparity, shard by shard."""

from dataclasses import asdict

from pydantic import Field

from gs_stereo.core.atomic import write_text
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.worlds.pairs.config import PairSetConfig


class SamplePairsConfig(PairSetConfig):
    """Which pairs, and where they go."""

    folder: str = Field(
        default="dataset/pairs",
        pattern=r"^[^/.][^/]*(/[^/.][^/]*)?$",
        description="Folder of the data set among the results; of the verb it is the folder that was given.",
    )


class SamplePairsStage(Stage):
    """Publishes `<split>-*.h5`, `dataset.json` and the card `README.md`."""

    name = "sample-pairs"
    version = 2
    config_type = SamplePairsConfig

    def folder(self, config: SamplePairsConfig) -> str:
        return config.folder

    def inputs(self, paths: ScenePaths, config: SamplePairsConfig) -> StageInputs:
        return StageInputs()

    def resources(self, config: SamplePairsConfig) -> Resources:
        return Resources(cores=min(2, config.shards), memory_mb=1000)

    def run(self, context: StageContext, config: SamplePairsConfig) -> StageOutcome:
        from gs_stereo.datasets.card import CARD_NAME, collect_facts
        from gs_stereo.datasets.schema import ShardEntry
        from gs_stereo.datasets.write import WrittenShard, verify_dataset, write_index
        from gs_stereo.worlds.pairs.shards import PairShard, pair_set_card, pair_set_info, write_pair_shard

        folder, seed, units = context.work_dir, context.seed, context.units
        shards = [PairShard(folder=folder, config=config, seed=seed, number=number) for number in range(config.shards)]
        todo = [shard for shard in shards if not units.done(shard.path.name)]
        with progress("sample pairs", config.count, "pairs") as bar:
            bar.advance(config.count - sum(len(shard.numbers) for shard in todo))
            for shard, written in zip(todo, context.executor.map(write_pair_shard, todo), strict=True):
                units.record(shard.path.name, [shard.path], asdict(written))
                bar.advance(len(shard.numbers))
        records = [units.result(shard.path.name) for shard in shards]
        entries = [WrittenShard(**{**record, "entry": ShardEntry(**record["entry"])}) for record in records]
        write_index(folder, pair_set_info(config, seed), entries)
        write_text(folder / CARD_NAME, pair_set_card(collect_facts(folder), seed))
        index = verify_dataset(folder)
        return StageOutcome(
            metrics={"pairs": index.sample_count, "shards": len(index.shards)},
            summary={"pairs": f"{index.sample_count} in {len(index.shards)} shards"},
        )
