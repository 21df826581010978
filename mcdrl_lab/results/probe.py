"""Linear probes: how well a linear classifier predicts a label from features.

A label that the features should not contain, such as the hospital, should be hard to
predict; one that they should contain, such as the lesion, easy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Enough for a few hundred standardised features; if not, the fit does not converge.
_MAX_STEPS = 2000


@dataclass(frozen=True)
class ProbeScore:
    """Balanced accuracy of a linear probe on samples it was not fitted to.

    Attributes:
        accuracy: Mean recall over the classes, in [0, 1]. Unlike plain accuracy it does
            not depend on the sizes of the classes.
        chance: Balanced accuracy of guessing, 1 / number of classes.
        folds: Balanced accuracy of every fold, over the classes in it.
    """

    accuracy: float
    chance: float
    folds: tuple[float, ...]


def probe_accuracy(
    features: np.ndarray,
    labels: Sequence | np.ndarray,
    groups: Sequence | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
) -> ProbeScore:
    """Cross-validated logistic regression on standardised features, classes balanced.

    Args:
        features: (n, c), one row per sample; finite.
        labels: n labels, of two classes or more.
        groups: Group of each sample, as the sequence of a frame. A group is never split
            between folds; None splits samples freely.
        folds: Folds of the cross-validation. Fewer if the rarest class has fewer
            samples or groups.
        seed: Seed of the split.

    Raises:
        ValueError: Features that are not (n, c) or not finite, labels or groups of
            another length, a single class, ``folds`` below 2, or a class that is in
            one group only, which cannot be both fitted to and tested on.
    """
    features = np.asarray(features, dtype=np.float64)
    labels = np.asarray(labels)
    alone = np.arange(len(labels)) if groups is None else np.asarray(groups)
    _check(features, labels, alone, folds)
    kind = 'sample' if groups is None else 'group'
    folds = min(folds, _most_folds(labels, alone, kind))
    split_by = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = split_by(folds, shuffle=True, random_state=seed)
    predicted = np.empty_like(labels)
    scores = []
    for fit, test in splitter.split(features, labels, groups):
        # Without class weights a probe would neglect rare classes.
        probe = make_pipeline(
            StandardScaler(),
            LogisticRegression(class_weight='balanced', max_iter=_MAX_STEPS),
        )
        if len(np.unique(labels[fit])) == 1:
            probe = DummyClassifier()
        probe.fit(features[fit], labels[fit])
        predicted[test] = probe.predict(features[test])
        scores.append(_balanced_accuracy(labels[test], predicted[test]))
    return ProbeScore(
        accuracy=_balanced_accuracy(labels, predicted),
        chance=1 / len(np.unique(labels)),
        folds=tuple(scores),
    )


def _most_folds(labels: np.ndarray, groups: np.ndarray, kind: str) -> int:
    """Number of groups of the rarest class; each fold can test on one."""
    classes = np.unique(labels).tolist()
    sizes = {name: len(np.unique(groups[labels == name])) for name in classes}
    rarest = min(sizes, key=sizes.__getitem__)
    if sizes[rarest] < 2:
        raise ValueError(
            f'class {rarest!r} is in only one {kind}, so that no split can both train '
            f'and test on it: leave the class out, or add another {kind} with it.'
        )
    return sizes[rarest]


def split_groups(
    sites: Sequence[str], sequences: Sequence[str | None], blocks: int = 10
) -> list[str]:
    """Groups of images for cross-validation.

    Neighbouring frames of a video are almost copies. If the video is known, it is the
    group; otherwise a contiguous block of the site's images is used instead.

    Args:
        sites: Site of each image; images of a site in the order of their names.
        sequences: Video or patient of each image, or None.
        blocks: Number of blocks for a site's images of unknown sequence.

    Returns:
        Group name of each image.
    """
    unknown: dict[str, int] = {}
    for site, sequence in zip(sites, sequences, strict=True):
        if sequence is None:
            unknown[site] = unknown.get(site, 0) + 1
    seen = dict.fromkeys(unknown, 0)
    groups = []
    for site, sequence in zip(sites, sequences):
        if sequence is not None:
            groups.append(f'{site}/sequence {sequence}')
            continue
        groups.append(f'{site}/block {seen[site] * blocks // unknown[site]}')
        seen[site] += 1
    return groups


def _balanced_accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall over the classes in ``labels``; others may be predicted."""
    present = np.unique(labels)
    return float(
        recall_score(
            labels, predicted, labels=present, average='macro', zero_division=0
        )
    )


def _check(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int
) -> None:
    if features.ndim != 2 or labels.ndim != 1:
        raise ValueError(
            f'a probe needs features (n, c) and labels (n,), got {features.shape} and '
            f'{labels.shape}.'
        )
    if not len(features) == len(labels) == len(groups):
        raise ValueError(
            'features, labels and groups must have the same length, got '
            f'{len(features)}, {len(labels)} and {len(groups)}.'
        )
    if not np.isfinite(features).all():
        raise ValueError('features hold NaN or infinite values.')
    if len(np.unique(labels)) < 2:
        raise ValueError(
            f'a probe needs two classes or more, got {np.unique(labels).tolist()}.'
        )
    if folds < 2:
        raise ValueError(f'folds={folds} must be 2 or more.')
