"""Which lesion classes each image of a batch holds, for the image-level losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.utils import SampleList
from torch import Tensor


def lesion_targets(
    data_samples: SampleList, classes: Sequence[str], num_classes: int
) -> Tensor:
    """Multi-hot lesion classes of a batch, after augmentation.

    If each lesion class is a segmentation class (``num_classes`` = K + 1, background
    first), the classes are read from the labels. If the segmentation is binary and K is
    larger, the labels say whether there is a lesion, and
    ``metainfo['lesion_classes']`` names its classes.

    Args:
        data_samples: B samples with ``gt_sem_seg``, all of one size.
        classes: Names of the K lesion classes of the prompt set.
        num_classes: Segmentation classes, background included.

    Returns:
        (B, K) bool on the labels' device.

    Raises:
        ValueError: The two sets of classes cannot be matched, or a sample lacks
            ``lesion_classes`` or names a class that has no prompt.
    """
    labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
    labels = labels.flatten(1)
    if num_classes == len(classes) + 1:
        values = torch.arange(1, num_classes, device=labels.device)
        return (labels.unsqueeze(1) == values.view(1, -1, 1)).any(dim=2)
    if num_classes != 2:
        raise ValueError(
            f'{num_classes} segmentation classes cannot be matched with the '
            f'{len(classes)} lesion classes {list(classes)} of the prompts: expected '
            'background and lesion, or background and one class for each of them.'
        )
    rows = [_present_classes(sample.metainfo, classes) for sample in data_samples]
    named = torch.tensor(rows, dtype=torch.bool).to(labels.device, non_blocking=True)
    return named & (labels == 1).any(dim=1, keepdim=True)


def labelled_images(data_samples: SampleList, ignore_index: int) -> Tensor:
    """Images with at least one labelled pixel; the others may hold any lesion.

    Args:
        data_samples: B samples with ``gt_sem_seg``, all of one size.
        ignore_index: Label of pixels without ground truth.

    Returns:
        (B,) bool on the labels' device.
    """
    labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
    return (labels != ignore_index).flatten(1).any(dim=1)


def _present_classes(metainfo: dict, classes: Sequence[str]) -> list[bool]:
    where = f'sample {metainfo.get("img_path", "without img_path")}'
    if 'lesion_classes' not in metainfo:
        raise ValueError(
            f"{where} has no 'lesion_classes'. Add this key to the meta_keys of "
            'PackSegInputs, and use EndoscopySiteDataset or put the names into each '
            'data_info.'
        )
    unknown = [name for name in metainfo['lesion_classes'] if name not in classes]
    if unknown:
        raise ValueError(
            f'{where} holds lesion classes {unknown} that have no prompt: add them '
            f'to prompts.classes, which names {list(classes)}.'
        )
    return [name in metainfo['lesion_classes'] for name in classes]
