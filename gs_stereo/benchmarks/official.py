"""The benchmarks in folders of others: which layout, which splits, and how the benchmark's own table scores."""

from gs_stereo.benchmarks.protocol import FolderBenchmark, OfficialProtocol
from gs_stereo.datasets.layouts.folder import find_folders
from gs_stereo.datasets.layouts.foundation_stereo import find_foundation_stereo
from gs_stereo.datasets.layouts.kitti import IMAGES_2012, find_kitti_2012, find_kitti_2015
from gs_stereo.datasets.layouts.middlebury import RESOLUTIONS, find_eth3d, find_middlebury
from gs_stereo.datasets.layouts.motorcycle import find_motorcycle, installed_data
from gs_stereo.datasets.layouts.sceneflow import PASSES, find_sceneflow

FOLDER = FolderBenchmark(
    name="folder",
    find=find_folders,
    splits=None,
    protocol=OfficialProtocol(
        headline="bad_2", region="noc", pooling="image_mean", source="Middlebury's default table: bad 2.0, non-occluded"
    ),
)
MOTORCYCLE = FolderBenchmark(
    name="motorcycle",
    find=find_motorcycle,
    default_root=installed_data,
    protocol=OfficialProtocol(
        headline="bad_2",
        region="all",
        pooling="image_mean",
        source="Middlebury's bad 2.0; the pair has no occlusion mask",
    ),
)
MIDDLEBURY_2014 = FolderBenchmark(
    name="middlebury-2014",
    find=find_middlebury,
    splits=RESOLUTIONS,
    protocol=OfficialProtocol(
        headline="bad_2",
        region="noc",
        pooling="image_mean",
        source="MiddEval3's default table, bad 2.0 of non-occluded pixels; its weights of hard scenes are not applied",
    ),
)
MIDDLEBURY_2021 = FolderBenchmark(
    name="middlebury-2021",
    find=find_middlebury,
    splits=RESOLUTIONS,
    protocol=OfficialProtocol(
        headline="bad_2",
        region="all",
        pooling="image_mean",
        source="bad 2.0; the set of 2021 has no occlusion masks",
    ),
)
ETH3D = FolderBenchmark(
    name="eth3d",
    find=find_eth3d,
    protocol=OfficialProtocol(
        headline="bad_1", region="noc", pooling="image_mean", source="ETH3D's default table: bad 1.0, non-occluded"
    ),
)
# The official programs fill missing predictions from their row before they count; the rule "fill" comes close to that.
KITTI_2012 = FolderBenchmark(
    name="kitti-2012",
    find=find_kitti_2012,
    splits=tuple(IMAGES_2012),
    protocol=OfficialProtocol(
        headline="bad_3", region="noc", pooling="image_mean", source="KITTI 2012's table: Out-Noc at 3 px"
    ),
)
KITTI_2015 = FolderBenchmark(
    name="kitti-2015",
    find=find_kitti_2015,
    protocol=OfficialProtocol(
        headline="d1", region="all", pooling="all_pixels", source="KITTI 2015's table: D1-all, above 3 px and 5 %"
    ),
)
SCENEFLOW = FolderBenchmark(
    name="sceneflow",
    find=find_sceneflow,
    splits=tuple(PASSES),
    protocol=OfficialProtocol(
        headline="epe",
        region="all",
        pooling="all_pixels",
        source="EPE of pixels with a true disparity under 192 px, as in the literature since Chang and Chen, CVPR 2018",
        largest_truth_px=192.0,
    ),
)
FOUNDATION_STEREO = FolderBenchmark(
    name="foundationstereo",
    find=find_foundation_stereo,
    splits=None,
    protocol=OfficialProtocol(
        headline="bad_2",
        region="all",
        pooling="image_mean",
        source="our own rule; the set has no table",
    ),
)
