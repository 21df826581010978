"""Features of many images before and after the intervention, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcdrl_mmseg.evaluation.image_record import image_name
from mcdrl_mmseg.evaluation.sample_reader import ONE_SITE
from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.confounder_attention import (
    attends_to_dictionary,
    image_attention,
)
from mcdrl_mmseg.models.last_decode_head import last_decode_head

NO_LESION = 'no lesion'
_UNNAMED_LESION = 'lesion'


@torch.no_grad()
def collect_features(
    model: nn.Module, dataloader: Iterable[Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Run a model on images; collect one vector per image before and after CDRL.

    Each image goes through the network as a whole, even if the model's ``test_cfg``
    sets sliding windows.

    Args:
        model: A segmentor with a :class:`~mcdrl_mmseg.models.CausalInterventionHead`,
            from ``mmseg.apis.init_model`` or a runner.
        dataloader: Batches, as from ``Runner.build_dataloader``.

    Returns:
        Arrays over n images, in the order of the loader:

        - ``F`` (n, c) float32, mean of ``region_tokens`` over the kept positions;
        - ``F_ca`` (n, c) float32, mean of ``intervened_tokens``, before the gate;
        - ``attention`` (n, M) float32, mean weight of each confounder; only for a head
          that attends to the dictionary, since other heads have no trained attention;
        - ``sites``, ``lesions`` and ``images`` (n,) str: site, lesion classes joined
          by ' + ' or ``'no lesion'``, and name of the image below its site;
        - ``sequences`` (n,) object: name of the video or patient, or None.

    Raises:
        ValueError: The model has no such head, or the loader is empty.
        DictionaryError: The checkpoint has no dictionary.
    """
    head = intervention_head(model)
    rows: dict[str, list] = {}
    training = model.training
    model.eval()
    try:
        for batch in dataloader:
            data = model.data_preprocessor(batch, training=False)
            state = head.intervene(model.extract_feat(data['inputs']))
            values = dict(
                F=_mean(state.region_tokens), F_ca=_mean(state.intervened_tokens)
            )
            if attends_to_dictionary(head):
                values['attention'] = image_attention(head, state.region_tokens)
            for key, value in values.items():
                rows.setdefault(key, []).append(value.cpu().numpy())
            for sample in data['data_samples']:
                for key, value in describe(sample, head.ignore_index).items():
                    rows.setdefault(key, []).append(value)
    finally:
        model.train(training)
    if not rows:
        raise ValueError('the data loader gives no images.')
    arrays = {k: np.concatenate(v) for k, v in rows.items() if k not in _LABELS}
    labels: dict[str, np.ndarray] = {
        key: np.array(rows[key], kind) for key, kind in _LABELS.items()
    }
    return {**arrays, **labels}


_LABELS: dict[str, type] = {
    'sites': str,
    'lesions': str,
    'images': str,
    'sequences': object,
}


def intervention_head(model: nn.Module) -> CausalInterventionHead:
    """The segmentor's intervention head.

    Raises:
        ValueError: The head is no ``CausalInterventionHead``.
    """
    head = last_decode_head(model)
    if not isinstance(head, CausalInterventionHead):
        raise ValueError(
            f'the model needs a CausalInterventionHead, got {type(model).__name__} '
            f'with decode_head={type(head).__name__}: give an MCDRL config and its '
            'checkpoint.'
        )
    return head


def describe(sample: Any, ignore_index: int = 255) -> dict[str, str | None]:
    """Site, lesion classes, name and sequence of an image.

    Args:
        sample: A ``SegDataSample``.
        ignore_index: Label of pixels without ground truth.

    Returns:
        ``sites``, ``lesions``, ``images``, ``sequences``: one entry of each array of
        :func:`collect_features`.
    """
    site = sample.get('site') or ONE_SITE
    named = sample.get('lesion_classes')
    if named is None:
        labels = sample.gt_sem_seg.data if 'gt_sem_seg' in sample else None
        inside = None if labels is None else (labels > 0) & (labels != ignore_index)
        named = [_UNNAMED_LESION] if inside is not None and bool(inside.any()) else []
    return dict(
        sites=site,
        lesions=' + '.join(named) or NO_LESION,
        images=image_name(sample.get('img_path'), site),
        sequences=sample.get('sequence'),
    )


def _mean(tokens: Tensor) -> Tensor:
    """Mean over positions, (B, N, c) -> (B, c)."""
    return tokens.float().mean(dim=1)
