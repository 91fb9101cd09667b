"""The label `multibaseline`: many views of the splat to the left and right, matched together."""

from collections.abc import Mapping

import numpy as np

from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.judgement import Proposal, calibrated
from gs_stereo.labels.matcher import matched_label
from gs_stereo.labels.observations import MULTIBASELINE, MatchedPair, Observations, ViewDepth
from gs_stereo.labels.protocol import LabelSource, ViewNeeds, own_provenance
from gs_stereo.labels.rendered import rendered_evidence
from gs_stereo.labels.trust import load_trust
from gs_stereo.types import DisparityPrediction, Provenance, StereoLabel, StereoPair


class MultibaselineSource(LabelSource):
    """What a rendered stack of views says."""

    needs = ViewNeeds(stack=True)
    own_settings = ("multiview",)

    def __init__(self, settings: LabelSettings) -> None:
        self._settings = settings

    def provenance(self) -> Provenance:
        return own_provenance(MULTIBASELINE, {"multiview": self._settings.multiview.model_dump(mode="json")})

    def label(self, pair: StereoPair, views: Mapping[str, ViewDepth]) -> StereoLabel:
        stack = views.get(MULTIBASELINE, ViewDepth(inverse_depth=np.full(pair.left.shape[:2], np.nan, np.float32)))
        rendered = rendered_evidence(pair, self._settings.rules)
        left = DisparityPrediction(disparity=stack.inverse_depth * np.float32(pair.rig.focal_times_baseline))
        label = matched_label(pair, MatchedPair(left=left), self._settings.rules, rendered)
        disparity = stack.inverse_depth.astype(np.float64) * pair.rig.focal_times_baseline
        proposal = Proposal(kind=MULTIBASELINE, disparity=disparity)
        alone = Observations(pair=pair, views={MULTIBASELINE: stack})
        return calibrated(label, proposal, alone, rendered, load_trust())
