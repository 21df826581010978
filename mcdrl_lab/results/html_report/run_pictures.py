"""Pictures of a tested run: cases with overlays, and the attention to confounders."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, TRANSFORMS
from torch import nn
from torch.utils.data import Dataset

from mcdrl_common.config_datasets import datasets
from mcdrl_common.mask_format import IGNORED, is_lesion
from mcdrl_lab.results.features import collect_features
from mcdrl_lab.simulation.truth import true_confounders
from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.checkpoint_config import (
    CheckpointConfigError,
    parse_config_text,
    parse_test_dataset,
)
from mcdrl_mmseg.apis.closed_gate import closed_gate_note
from mcdrl_mmseg.apis.explanation import explain
from mcdrl_mmseg.apis.image_pipeline import read_image
from mcdrl_mmseg.evaluation.image_record import image_name
from mcdrl_mmseg.evaluation.sample_reader import ONE_SITE
from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.confounder_attention import entry_names
from mcdrl_mmseg.models.last_decode_head import last_decode_head
from mcdrl_mmseg.visualization.case_picture import case_picture
from mcdrl_mmseg.visualization.explanation_figure import explanation_figure

# Data sets and transforms of other packages that a found config may name: they only
# open images and take no arguments that run code. The plug-in's own are safe too.
_SAFE_TYPES = {
    'AdjustGamma',
    'BaseSegDataset',
    'CLAHE',
    'ConcatDataset',
    'LoadAnnotations',
    'LoadImageFromFile',
    'PackSegInputs',
    'Resize',
}
# Arguments by which they could read from elsewhere than the local disk, or decode
# pickles. Only the default values are allowed.
_READERS = {
    'backend',
    'backend_args',
    'decode_backend',
    'file_client_args',
    'imdecode_backend',
}
_READER_DEFAULTS = (None, 'cv2', 'pillow', {'backend': 'local'})


@dataclass(frozen=True)
class RunPictures:
    """Pictures of a run at one site.

    Attributes:
        cases: ``'best'``, ... -> (H, W, 3) uint8, red first; only cases whose image was
            found.
        attention: (n, M) mean attention of n images, or None for a model without
            trained attention.
        names: M names of the confounders.
        prior: (M,) P(z).
        explanations: Figures of the same cases from
            :func:`~mcdrl_mmseg.visualization.explanation_figure.explanation_figure`,
            if they were requested and the model can be explained.
        note: Caveat about the checkpoint, or None.
    """

    cases: dict[str, np.ndarray] = field(default_factory=dict)
    attention: np.ndarray | None = None
    names: tuple[str, ...] = ()
    prior: np.ndarray | None = None
    explanations: dict[str, Figure] = field(default_factory=dict)
    note: str | None = None


def found_config(path: str | os.PathLike) -> Config:
    """Read the config in a run's folder as data; it is never executed.

    The config is not trusted: the user named only the folder, which anyone may have
    made.

    Args:
        path: A config as MMEngine writes it, with literals only.

    Raises:
        CheckpointConfigError: It has more than literals, or names an unregistered type,
            or a data set or transform that is not known to be safe.
        OSError: It cannot be read.
    """
    text = Path(path).read_text(encoding='utf-8')
    cfg = parse_config_text(text, str(path))
    dataset = parse_test_dataset(text, str(path))
    _check_safe(dataset, path)
    cfg.test_dataloader = dict(dataset=dataset)
    return cfg


def _check_safe(value: Any, path: str | os.PathLike) -> None:
    if isinstance(value, list | tuple):
        for item in value:
            _check_safe(item, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if (key == 'type' and not _is_safe_type(item)) or (
                key in _READERS and item not in _READER_DEFAULTS
            ):
                raise CheckpointConfigError(
                    f'{path}: {key}={item!r} of the test data set was not run, since '
                    'it is not known to be safe. If you trust this config, pass it '
                    'with --config.'
                )
            _check_safe(item, path)


def _is_safe_type(name: Any) -> bool:
    if not isinstance(name, str):
        return False
    if name.removeprefix('mmseg.') in _SAFE_TYPES:
        return True
    found = DATASETS.get(name) or TRANSFORMS.get(name)
    return found is not None and found.__module__.startswith('mcdrl_mmseg.')


class RunModel:
    """A tested checkpoint with the images it was tested on.

    Args:
        checkpoint: The checkpoint.
        config: Its config, whose test set contains the images. A path, which the user
            must have named, is executed; a ``Config`` from :func:`found_config` was
            only read.
        data_root: Folder of the images, if it is not the config's.
        device: As ``'cuda:0'``; None takes a GPU if there is one.

    Raises:
        ValueError: Checkpoint, config or images cannot be used.
        OSError: A file cannot be read.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        config: str | os.PathLike | Config,
        data_root: str | os.PathLike | None = None,
        device: str | None = None,
    ) -> None:
        self.model = load_segmentor(checkpoint, config, device)
        cfg: Config = self.model.cfg
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        dataset = copy.deepcopy(cfg.test_dataloader.dataset)
        if data_root is not None:
            for part in datasets(dataset):
                if 'data_root' in part:
                    part['data_root'] = str(data_root)
        self.dataset: Dataset = DATASETS.build(dataset)
        self._places: dict[str, dict[str, int]] = {}
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            site = info.get('site', ONE_SITE)
            name = image_name(info['img_path'], site)
            self._places.setdefault(site, {})[name] = index

    def pictures(
        self,
        site: str,
        cases: Mapping[str, dict],
        profile_images: int = 60,
        explanations: bool = False,
    ) -> RunPictures:
        """Draw the cases of a site, and compute the attention of its images.

        Args:
            site: Name of a tested site.
            cases: Name of each case -> its per-image record.
            profile_images: Number of images for the attention, evenly spaced over the
                site; 0 leaves it out.
            explanations: Draw the figure of each case that explains the prediction.

        Raises:
            ValueError: The mask of a case differs from the one in its record.
        """
        places = self._places.get(site, {})
        found = {
            name: places[record['image']]
            for name, record in cases.items()
            if record['image'] in places
        }
        for name, index in found.items():
            self._check_case(cases[name], index)
        drawn = {name: self._draw(index) for name, index in found.items()}
        note = closed_gate_note(self.model)
        head = last_decode_head(self.model)
        indices = list(places.values())
        if not isinstance(head, CausalInterventionHead) or not indices:
            return RunPictures(drawn, note=note)
        count = min(profile_images, len(indices))
        chosen = np.linspace(0, len(indices) - 1, count).round().astype(int)
        attention = None
        if count:
            loader = (pseudo_collate([self.dataset[indices[i]]]) for i in chosen)
            attention = collect_features(self.model, loader).get('attention')
        return RunPictures(
            cases=drawn,
            explanations={n: self._explain(i) for n, i in found.items()}
            if explanations
            else {},
            attention=attention,
            names=entry_names(head.dictionary),
            prior=head.dictionary.confounder_prior.cpu().numpy(),
            note=note,
        )

    def _check_case(self, record: Mapping[str, Any], index: int) -> None:
        """Refuse an image that only has the same name but is from another data set."""
        if not record.keys() >= {'tp', 'fn', 'pixels'}:
            return  # compact records have no pixel counts
        labels = self.dataset[index]['data_samples'].gt_sem_seg.data[0].numpy()
        valid = labels != getattr(self.dataset, 'ignore_index', IGNORED)
        lesion = int(((labels != 0) & valid).sum())
        told = record['tp'] + record['fn'], record['pixels']
        if (lesion, valid.sum()) != told:
            raise ValueError(
                f'{self.dataset.get_data_info(index)["img_path"]} is not the image '
                f'that was tested: its mask has {lesion} lesion pixels of '
                f'{valid.sum()}, and that of the record {told[0]} of {told[1]}. Set '
                '--data-root to the folder of the tested images.'
            )

    def _explain(self, index: int) -> Figure:
        info = self.dataset.get_data_info(index)
        path = Path(info['img_path'])
        truth = self.dataset[index]['data_samples'].gt_sem_seg.data[0].numpy()
        return explanation_figure(
            explain(self.model, read_image(path)),
            is_lesion(truth),
            true_confounders(path),
            title=path.name,
            ignored=truth == IGNORED,
        )

    @torch.no_grad()
    def _draw(self, index: int) -> np.ndarray:
        model: nn.Module = self.model
        (sample,) = model.test_step(pseudo_collate([self.dataset[index]]))
        image = read_image(sample.img_path)[..., ::-1].copy()
        prediction = sample.pred_sem_seg.data[0].cpu().numpy()
        truth = sample.gt_sem_seg.data[0].cpu().numpy()
        return case_picture(image, prediction, truth)
