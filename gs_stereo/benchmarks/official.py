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
    protocol=OfficialProtocol("bad_2", "noc", "image_mean", "Middlebury's default table: bad 2.0, non-occluded"),
)
MOTORCYCLE = FolderBenchmark(
    name="motorcycle",
    find=find_motorcycle,
    default_root=installed_data,
    protocol=OfficialProtocol("bad_2", "all", "image_mean", "Middlebury's bad 2.0; the pair has no occlusion mask"),
)
MIDDLEBURY_2014 = FolderBenchmark(
    name="middlebury-2014",
    find=find_middlebury,
    splits=RESOLUTIONS,
    protocol=OfficialProtocol(
        "bad_2",
        "noc",
        "image_mean",
        "MiddEval3's default table, bad 2.0 of non-occluded pixels; its weights of hard scenes are not applied",
    ),
)
MIDDLEBURY_2021 = FolderBenchmark(
    name="middlebury-2021",
    find=find_middlebury,
    splits=RESOLUTIONS,
    protocol=OfficialProtocol("bad_2", "all", "image_mean", "bad 2.0; the set of 2021 has no occlusion masks"),
)
ETH3D = FolderBenchmark(
    name="eth3d",
    find=find_eth3d,
    protocol=OfficialProtocol("bad_1", "noc", "image_mean", "ETH3D's default table: bad 1.0, non-occluded"),
)
# The official programs fill missing predictions from their row before they count; the rule "fill" comes close to that.
KITTI_2012 = FolderBenchmark(
    name="kitti-2012",
    find=find_kitti_2012,
    splits=tuple(IMAGES_2012),
    protocol=OfficialProtocol("bad_3", "noc", "image_mean", "KITTI 2012's table: Out-Noc at 3 px"),
)
KITTI_2015 = FolderBenchmark(
    name="kitti-2015",
    find=find_kitti_2015,
    protocol=OfficialProtocol("d1", "all", "all_pixels", "KITTI 2015's table: D1-all, above 3 px and 5 %"),
)
SCENEFLOW = FolderBenchmark(
    name="sceneflow",
    find=find_sceneflow,
    splits=tuple(PASSES),
    protocol=OfficialProtocol(
        "epe",
        "all",
        "all_pixels",
        "EPE of pixels with a true disparity under 192 px, as in the literature since Chang and Chen, CVPR 2018",
        largest_truth_px=192.0,
    ),
)
FOUNDATION_STEREO = FolderBenchmark(
    name="foundationstereo",
    find=find_foundation_stereo,
    splits=None,
    protocol=OfficialProtocol("bad_2", "all", "image_mean", "our own rule; the set has no table"),
)
