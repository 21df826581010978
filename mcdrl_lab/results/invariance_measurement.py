"""Invariance of trained models: counterfactual pairs, and linear probes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np
import torch
from torch import nn

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.simulation.counterfactuals import (
    MASK_CHANGING,
    Pictures,
    draw_pictures,
    scene_pair,
)
from mcdrl_lab.simulation.hospitals import SITES
from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import CONFOUNDERS, Scene
from mcdrl_lab.simulation.simulated_sites import Benchmark
from mcdrl_mmseg.apis.image_pipeline import build_image_pipeline
from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.last_decode_head import last_decode_head

from .features import NO_LESION, collect_features
from .invariance_record import FEATURES
from .invariance_scores import PairScores, pair_scores
from .probe import ProbeScore, probe_accuracy

_BATCH = 32
# A seed that no data set and no training or validation of a built-in model uses.
_PROBE_SEED = 4_000_000_000


@dataclass(frozen=True)
class ProbeScenes:
    """Images for linear probes, with their labels.

    Args:
        pictures: The images.
        sites: Site of each image; empty for scenes that belong to no site.
        lesions: Lesion class of each image, or ``'no lesion'``.
        conditions: (n, M) bool, the confounders of each image.
    """

    pictures: Pictures
    sites: tuple[str, ...]
    lesions: tuple[str, ...]
    conditions: np.ndarray


def draw_pairs(
    benchmark: Benchmark, site: str, scenes: int
) -> dict[str, tuple[Pictures, Pictures]]:
    """Draw a site's scenes with lesion, without and with each confounder.

    Args:
        benchmark: The data set.
        site: The site, which the model was not trained on.
        scenes: Number of scenes: the first ones with a lesion in the data set.

    Returns:
        Confounder -> images without it and with it.

    Raises:
        ProtocolError: The site has fewer scenes with a lesion.
    """
    all_scenes = (benchmark.scene(site, n) for n in range(benchmark.images_per_site))
    chosen = list(islice((s for s in all_scenes if s.lesion is not None), scenes))
    if len(chosen) < scenes:
        raise ProtocolError(
            f'--scenes {scenes}: {site} has only {len(chosen)} scenes with a lesion. '
            'Use a smaller number, or generate a larger data set.'
        )
    drawn = {}
    for name in CONFOUNDERS:
        without, present = zip(*(scene_pair(scene, name) for scene in chosen))
        drawn[name] = (
            draw_pictures(without, benchmark.size),
            draw_pictures(present, benchmark.size),
        )
    return drawn


def draw_probe_scenes(
    benchmark: Benchmark, number: int
) -> tuple[ProbeScenes, ProbeScenes]:
    """Draw scenes that no model was trained on.

    Args:
        benchmark: Data set whose image size, site differences and other options to use.
        number: Number of scenes of each kind.

    Returns:
        Scenes of no site, with confounders and lesion independent of each other, for
        the probes of confounders and lesion; and scenes of all sites in turn, for the
        probe of the site.
    """
    places = benchmark.lesion_places
    alone = [
        sample_scene(_PROBE_SEED, index, lesion_places=places)
        for index in range(number)
    ]
    sites = tuple(SITES[index % len(SITES)] for index in range(number))
    unseen = replace(benchmark, seed=_PROBE_SEED)
    shifted = [unseen.scene(site, index) for index, site in enumerate(sites)]
    return (
        _probe_scenes(alone, (), benchmark.size),
        _probe_scenes(shifted, sites, benchmark.size),
    )


def _probe_scenes(
    scenes: Sequence[Scene], sites: tuple[str, ...], size: int
) -> ProbeScenes:
    strengths = [[s for _, s in scene.confounders.items()] for scene in scenes]
    return ProbeScenes(
        pictures=draw_pictures(scenes, size),
        sites=sites,
        lesions=tuple(
            NO_LESION if scene.lesion is None else scene.lesion.name for scene in scenes
        ),
        conditions=np.array(strengths) > 0,
    )


def _batches(model: nn.Module, images: np.ndarray) -> Iterator[dict]:
    """Batches of images, processed by the model's own test pipeline."""
    pipeline = build_image_pipeline(model.cfg)
    for start in count(0, _BATCH):
        packed = [pipeline(dict(img=image)) for image in images[start : start + _BATCH]]
        if not packed:
            return
        yield dict(
            inputs=[item['inputs'] for item in packed],
            data_samples=[item['data_samples'] for item in packed],
        )


@torch.no_grad()
def predict_masks(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Predict lesion masks.

    Args:
        model: A segmentor from :func:`~mcdrl_mmseg.apis.load_segmentor`.
        images: (n, H, W, 3) uint8, blue first.

    Returns:
        (n, H, W) bool.
    """
    masks = [
        sample.pred_sem_seg.data[0].cpu().numpy() > 0
        for batch in _batches(model, images)
        for sample in model.test_step(batch)
    ]
    return np.stack(masks)


def measure_pairs(
    model: nn.Module, pairs: dict[str, tuple[Pictures, Pictures]]
) -> dict[str, PairScores]:
    """Compare predictions on the same scenes without and with each confounder.

    Args:
        model: A segmentor from :func:`~mcdrl_mmseg.apis.load_segmentor`.
        pairs: From :func:`draw_pairs`.

    Returns:
        Confounder -> scores.
    """
    return {
        name: pair_scores(
            predict_masks(model, absent.images),
            predict_masks(model, present.images),
            absent.masks,
            present.masks,
            same_mask=name not in MASK_CHANGING,
        )
        for name, (absent, present) in pairs.items()
    }


def measure_probes(
    model: nn.Module, independent: ProbeScenes, by_site: ProbeScenes
) -> dict[str, dict[str, ProbeScore]] | None:
    """Probe a model's features linearly for site, lesion and confounders.

    Args:
        model: A segmentor from :func:`~mcdrl_mmseg.apis.load_segmentor`.
        independent: Scenes of no site, for lesion and confounders.
        by_site: Scenes of all sites.

    Returns:
        ``'site'``, ``'lesion'`` and each confounder -> ``'F'`` and ``'F_ca'`` ->
        score; None for a model without an intervention, which has no F_ca.
    """
    head = last_decode_head(model)
    if not isinstance(head, CausalInterventionHead) or head.intervention is None:
        return None
    features = collect_features(model, _batches(model, independent.pictures.images))
    labels = {'lesion': independent.lesions}
    labels |= {
        name: column.tolist()
        for name, column in zip(CONFOUNDERS, independent.conditions.T)
    }
    scores = {name: _probe(features, values) for name, values in labels.items()}
    features = collect_features(model, _batches(model, by_site.pictures.images))
    return {'site': _probe(features, by_site.sites), **scores}


def _probe(features: dict[str, np.ndarray], labels: Sequence) -> dict[str, ProbeScore]:
    return {name: probe_accuracy(features[name], labels) for name in FEATURES}
