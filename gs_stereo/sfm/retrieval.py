"""Which photos look alike, without a trained vocabulary.

Preemptive matching (Wu, "Towards Linear-time Incremental Structure from Motion", 3DV 2013): features of the largest
scale are few and are found again most reliably, so matching only them tells which pairs are worth a full match. Of many
photos even these are too many pairs: then only photos are matched whose features are alike as a whole (Jegou et al.,
"Aggregating local descriptors into a compact image representation", CVPR 2010; the words are features of the capture).
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

_FEATURES = 150
_MAX_RATIO = 0.9
_WORDS = 64
_LOOKED_AT = 3  # as many candidates as there shall be similar photos


def largest_features(
    keypoints: Float[np.ndarray, "n k"], descriptors: UInt8[np.ndarray, "n 128"]
) -> Float32[np.ndarray, "m 128"]:
    """Unit descriptors of the features with the largest scale. Keypoints are x, y, then an affine 2x2 or a scale."""
    if keypoints.shape[1] >= 6:
        scale = np.abs(keypoints[:, 2] * keypoints[:, 5] - keypoints[:, 3] * keypoints[:, 4])
    else:
        scale = keypoints[:, 2]
    chosen = np.argsort(-scale, kind="stable")[:_FEATURES]
    values = descriptors[chosen].astype(np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def match_count(a: Float32[np.ndarray, "m 128"], b: Float32[np.ndarray, "n 128"]) -> int:
    """Mutual nearest neighbours that pass the ratio test."""
    if len(a) < 2 or len(b) < 2:
        return 0
    similarity = a @ b.T
    best = similarity.argmax(axis=1)
    mutual = similarity.argmax(axis=0)[best] == np.arange(len(a))
    second, first = np.partition(similarity, -2, axis=1)[:, -2:].T
    distance_ratio = np.sqrt(np.maximum(1 - first, 0) / np.maximum(1 - second, 1e-9))
    return int((mutual & (distance_ratio < _MAX_RATIO)).sum())


def similar_pairs(
    features: Sequence[tuple[Float[np.ndarray, "n k"], UInt8[np.ndarray, "n 128"]]],
    per_image: int,
    progress: Callable[[int], None],
) -> set[tuple[int, int]]:
    """Index pairs (i < j) in which one image is among the `per_image` most similar of the other."""
    chosen = [largest_features(keypoints, descriptors) for keypoints, descriptors in features]
    counts = np.zeros((len(chosen), len(chosen)), dtype=np.int64)
    candidates = _alike(chosen, _LOOKED_AT * per_image)
    for i in range(len(chosen)):
        for j in np.flatnonzero(candidates[i, i + 1 :]) + i + 1:
            counts[i, j] = counts[j, i] = match_count(chosen[i], chosen[j])
        progress(i + 1)
    pairs = set()
    for i, row in enumerate(counts):
        for j in np.argsort(-row, kind="stable")[:per_image]:
            if row[j] > 0:
                pairs.add((min(i, int(j)), max(i, int(j))))
    return pairs


def _alike(features: Sequence[Float32[np.ndarray, "m 128"]], count: int) -> Bool[np.ndarray, "n n"]:
    """Which images are worth a comparison: those among the `count` most alike of one another; all if they are few."""
    everything = np.concatenate(features)
    if len(features) <= count + 1 or not len(everything):
        return np.ones((len(features), len(features)), bool)
    words = everything[np.random.default_rng(0).integers(0, len(everything), _WORDS)]
    described = np.zeros((len(features), _WORDS, 128), np.float32)
    for image, values in zip(described, features, strict=True):
        word = (values @ words.T).argmax(axis=1)
        np.add.at(image, word, values - words[word])
    described /= np.maximum(np.linalg.norm(described, axis=2, keepdims=True), 1e-6)
    likeness = np.tensordot(described, described, ([1, 2], [1, 2]))
    np.fill_diagonal(likeness, -np.inf)
    alike = np.zeros(likeness.shape, bool)
    np.put_along_axis(alike, np.argsort(-likeness, axis=1, kind="stable")[:, :count], True, axis=1)
    return alike | alike.T
