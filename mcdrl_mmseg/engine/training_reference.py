"""Statistics of the images that a model was trained on, for its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch import nn

from mcdrl_common.config_datasets import inference_pipeline, type_name
from mcdrl_common.site_reference import SiteReference, site_reference
from mcdrl_mmseg.datasets.transforms.load_lesion_mask import MASK_LOADERS
from mcdrl_mmseg.evaluation.sample_reader import ONE_SITE
from mcdrl_mmseg.models.image_conditions import condition_dictionary, image_conditions

from .runner import undisturbed


def training_reference(
    model: nn.Module, dataset: Any, cfg: Mapping, images_per_site: int
) -> SiteReference:
    """Statistics of CLIP's view of the training images, through the test pipeline.

    Neither the random state nor the model's mode is changed.

    Args:
        model: A segmentor with MCDRL.
        dataset: The training data set, which has ``get_data_info``.
        cfg: The config, for its test pipeline.
        images_per_site: Images of each site, evenly spaced.

    Raises:
        SiteReferenceError: See :func:`~mcdrl_common.site_reference.site_reference`.
        DictionaryError: The model names no imaging conditions.
        ValueError: The config has no test pipeline.
    """
    dictionary = condition_dictionary(model)
    pipeline = _test_pipeline(cfg)
    chosen = _chosen(dataset, images_per_site)
    scores, embeddings = [], []
    with undisturbed(model):
        for _, info in chosen:
            batch = pseudo_collate([pipeline(dict(info))])
            inputs = model.data_preprocessor(batch, training=False)['inputs']
            seen = image_conditions(model, inputs)
            scores.append(seen.scores[0].cpu().numpy())
            embeddings.append(seen.embeddings[0].cpu().numpy())
    return site_reference(
        np.array(scores).reshape(-1, len(dictionary.prompts.confounder_names)),
        np.array(embeddings).reshape(-1, dictionary.embed_dims),
        [site for site, _ in chosen],
        dictionary.prompts.confounder_names,
        dictionary.stored_fingerprint,
    )


def _test_pipeline(cfg: Mapping) -> Callable[[dict], dict]:
    """The test pipeline for single images, without masks."""
    transforms = inference_pipeline(cfg)
    if not transforms:
        raise ValueError('the config has no test_pipeline')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmseg')):
        return Compose(
            [one for one in transforms if type_name(one) not in MASK_LOADERS]
        )


def _chosen(dataset: Any, images_per_site: int) -> list[tuple[str, dict]]:
    """Site and sample of the images to look at, no image twice."""
    places: dict[str, dict[str, dict]] = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        site = str(info.get('site') or ONE_SITE)
        # A RepeatDataset returns its images several times.
        places.setdefault(site, {}).setdefault(str(info.get('img_path', index)), info)
    chosen = []
    for site, images in places.items():
        infos = list(images.values())
        count = min(images_per_site, len(infos))
        spaced = np.linspace(0, len(infos) - 1, count).round().astype(int)
        chosen += [(site, infos[place]) for place in spaced]
    return chosen
