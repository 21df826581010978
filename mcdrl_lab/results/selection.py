"""How much of the lesions the region selection by text similarity keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor, nn

from mcdrl_lab.kept_map import kept_map
from mcdrl_mmseg.clip.text import embed_texts
from mcdrl_mmseg.engine.hooks.confounder_dictionary_hook import clip_spec_of
from mcdrl_mmseg.engine.insertion import with_mcdrl
from mcdrl_mmseg.models import CLIPRegionSelector

from .features import NO_LESION, describe, intervention_head

# Share of a lesion from which it counts as found by the selection.
WHOLE = 0.9
_ALL_SITES = 'all'


def untrained_segmentor(cfg: Config) -> nn.Module:
    """Build a config's model as at the start of training, with the dictionary filled.

    Args:
        cfg: A config with a :class:`~mcdrl_mmseg.models.CausalInterventionHead`.

    Returns:
        The segmentor in evaluation mode, on the CPU.

    Raises:
        ValueError: The config has another head.
        DictionaryError: The backbone has no CLIP tower.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(with_mcdrl(cfg).model)
    dictionary = intervention_head(model).dictionary
    model.init_weights()
    spec = clip_spec_of(model.backbone)
    dictionary.fill(
        embed_texts(spec, dictionary.texts),
        dictionary.expected_fingerprint(spec.identity()),
    )
    return model.eval()


@torch.no_grad()
def kept_lesions(
    model: nn.Module,
    dataloader: Iterable[Mapping[str, Any]],
    ratios: Sequence[float] = (0.25, 0.5, 0.75),
) -> pd.DataFrame:
    """Share of each image's lesion area that lies in the kept positions.

    Positions are selected as in step 1 of the method, on the grid of the features that
    the intervention changes, even if the model's own head does not select.

    Args:
        model: A segmentor with a :class:`~mcdrl_mmseg.models.CausalInterventionHead`
            whose dictionary is built; each image goes through it as a whole.
        dataloader: Batches, as from ``Runner.build_dataloader``, with masks.
        ratios: Values of alpha.

    Returns:
        One row per image with a lesion: ``site``, ``image``, and the share in [0, 1]
        for each alpha.

    Raises:
        ValueError: The model has no such head, alpha is outside (0, 1], or no image
            has a lesion.
        DictionaryError: The dictionary is not built.
    """
    head = intervention_head(model)
    head.dictionary.check_built()
    selectors = {ratio: CLIPRegionSelector(ratio) for ratio in ratios}
    rows = []
    for batch in dataloader:
        data = model.data_preprocessor(batch, training=False)
        features = model.extract_feat(data['inputs'])
        ignored = head.ignore_index
        labels = [describe(sample, ignored) for sample in data['data_samples']]
        targets = [_lesion(sample, ignored) for sample in data['data_samples']]
        shares: list[dict[float, float]] = [{} for _ in labels]
        for ratio, selector in selectors.items():
            kept = _kept_map(selector, head, features, data['inputs'].shape[2:])
            samples = model.postprocess_result(kept, data['data_samples'])
            for share, sample, target in zip(shares, samples, targets):
                chosen = sample.pred_sem_seg.data.bool()
                share[ratio] = (chosen & target).sum() / target.sum()
        rows += [
            dict(
                site=label['sites'],
                image=label['images'],
                **{str(ratio): float(value) for ratio, value in share.items()},
            )
            for label, target, share in zip(labels, targets, shares)
            if bool(target.any())
        ]
    if not rows:
        raise ValueError(
            f'all images are labelled {NO_LESION!r}, so there is no lesion that a '
            'selection could keep. Choose a loader whose masks have lesions.'
        )
    return pd.DataFrame(rows)


def selection_table(kept: pd.DataFrame) -> pd.DataFrame:
    """By site: mean kept share of the lesion area, and share of lesions found, in %.

    Args:
        kept: From :func:`kept_lesions`.

    Returns:
        One row per site and, with several sites, one for all images: number of images;
        for each alpha the mean kept share, and the share of images with at least nine
        tenths of the lesion kept.
    """
    ratios = [name for name in kept.columns if name not in ('site', 'image')]
    groups = [(str(site), rows) for site, rows in kept.groupby('site')]
    if len(groups) > 1:
        groups.append((_ALL_SITES, kept))
    return pd.DataFrame(
        {
            'site': site,
            'images': len(rows),
            **{f'kept at {r}': 100 * rows[r].mean() for r in ratios},
            **{f'whole at {r}': 100 * (rows[r] >= WHOLE).mean() for r in ratios},
        }
        for site, rows in groups
    )


def _lesion(sample: Any, ignore_index: int) -> Tensor:
    labels = sample.gt_sem_seg.data
    return (labels > 0) & (labels != ignore_index)


def _kept_map(
    selector: CLIPRegionSelector,
    head: nn.Module,
    features: tuple[Tensor, ...],
    size: torch.Size,
) -> Tensor:
    """The kept positions as logits (B, 2, H, W), for mmseg to resize to the masks."""
    grid = head.leading_map(features).shape[2:]
    _, indices = selector(
        features[-2], head.dictionary.class_embeddings, grid=tuple(grid)
    )
    kept = kept_map(indices, grid, size)
    return torch.cat([1 - kept, kept], dim=1)
