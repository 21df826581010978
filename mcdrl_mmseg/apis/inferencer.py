"""MCDRLInferencer: mmseg's inferencer for checkpoints alone and for image streams."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmseg.apis import MMSegInferencer
from mmseg.visualization import SegLocalVisualizer
from torch import nn

from .checkpoint import load_segmentor
from .image_flags import ImageChecker, ImageFlag
from .image_pipeline import (
    as_image,
    at_threshold,
    build_image_pipeline,
    check_scores,
    lesion_probability,
    model_lock,
)
from .temperature import calibrated_probability

Image = str | os.PathLike | np.ndarray
"""A path, or (H, W, 3) uint8, blue first."""


@dataclass(frozen=True)
class Prediction:
    """Prediction for one image, at its native size.

    Attributes:
        labels: (H, W) uint8, 0 is background.
        lesion_probability: (H, W) float32 in [0, 1], the sum of all lesion classes;
            calibrated if the checkpoint is (``python -m mcdrl_lab calibrate``).
        network_probability: The same before calibration, for thresholds of
            ``python -m mcdrl_lab conformal``; None if the checkpoint is not calibrated.
        conformal_mask: (H, W) bool, pixels where the uncalibrated probability is at
            least the threshold; None without a threshold.
        flag: Comparison of the image with the training sites; None if not requested.
    """

    labels: np.ndarray
    lesion_probability: np.ndarray
    network_probability: np.ndarray | None = None
    conformal_mask: np.ndarray | None = None
    flag: ImageFlag | None = None

    @property
    def uncalibrated_probability(self) -> np.ndarray:
        """(H, W) float32, the network's probability before any calibration."""
        own = self.network_probability
        return self.lesion_probability if own is None else own


def _not_about_sizes(record: logging.LogRecord) -> bool:
    """Silence mmseg's warning about a batch with images of different sizes."""
    return 'shapes are different' not in record.getMessage()


class MCDRLInferencer(MMSegInferencer):
    """Segment images with any checkpoint of this package or of MMSegmentation.

    Calls work as in mmseg: ``MCDRLInferencer(weights='best.pth')('image.jpg')`` returns
    ``predictions`` and ``visualization``. The differences:

    - the config comes from the checkpoint if no ``model`` is named, and is read as
      data; nothing in the checkpoint is executed (:func:`load_segmentor`);
    - images of different size in one batch do not fail;
    - images of a folder are sorted by name;
    - :meth:`predict` takes any number of images and keeps one batch in memory.

    Args:
        model: Config file or config; None takes the one in the checkpoint.
        weights: The checkpoint.
        classes: Class names, as in mmseg.
        palette: Colours, as in mmseg.
        dataset_name: Data set whose names and colours to use, as in mmseg.
        device: As ``'cuda:0'``; None takes a GPU if there is one.
        scope: As in mmseg.
        show_progress: Whether calls show a progress bar.

    Raises:
        ValueError: No weights are named.
        CheckpointError: See :func:`load_segmentor`.
    """

    def __init__(
        self,
        model: str | Config | None = None,
        weights: str | None = None,
        classes: str | list | None = None,
        palette: str | list | None = None,
        dataset_name: str | None = None,
        device: str | None = None,
        scope: str | None = 'mmseg',
        show_progress: bool = True,
    ) -> None:
        super().__init__(model, weights, classes, palette, dataset_name, device, scope)
        # MMSegmentation 1.2 does not accept this argument of MMEngine's inferencer.
        self.show_progress = show_progress

    def _init_model(
        self, cfg: Config | ConfigDict, weights: str | None, device: str = 'cpu'
    ) -> nn.Module:
        if weights is None:
            raise ValueError('MCDRLInferencer needs weights: name a checkpoint.')
        if isinstance(cfg, ConfigDict):
            cfg = Config(cfg) if cfg else None
        return load_segmentor(weights, cfg, device)

    def _init_pipeline(self, cfg: Config | ConfigDict) -> Callable:
        pipeline = build_image_pipeline(self.model.cfg)
        return lambda image: pipeline(dict(img=as_image(image)))

    def _init_collate(self, cfg: Config | ConfigDict) -> Callable:
        return pseudo_collate

    def _inputs_to_list(self, inputs: Image | Sequence) -> list:
        """List the inputs; files of a folder are sorted by name.

        MMEngine uses the order of the file system. MMSegmentation numbers its masks in
        this order, so that masks and images could not be matched.

        Args:
            inputs: Image, images, or a folder of them.

        Returns:
            Images.
        """
        if isinstance(inputs, os.PathLike):
            inputs = os.fspath(inputs)
        listed = super()._inputs_to_list(inputs)
        return sorted(listed) if isinstance(inputs, str) else listed

    def _init_visualizer(self, cfg: Config | ConfigDict) -> SegLocalVisualizer:
        # Not the config's visualizer, whose backends may write files or call a server.
        return SegLocalVisualizer(name=f'inferencer-{id(self)}', alpha=0.4)

    def _get_chunk_data(
        self, inputs: Iterable[dict], chunk_size: int
    ) -> Iterator[list]:
        """Fill batches; start a new one when the image size changes."""
        chunk: list[dict] = []
        for data in inputs:
            if chunk and data['inputs'].shape != chunk[-1]['inputs'].shape:
                yield chunk
                chunk = []
            chunk.append(data)
            if len(chunk) == chunk_size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def forward(self, inputs: dict, **kwargs: str) -> list:
        """Feed a batch to the model.

        Args:
            inputs: A collated batch.
            **kwargs: As in mmseg, without effect.

        Raises:
            ScoresError: The model gives NaN or infinite scores.
        """
        logger = MMLogger.get_current_instance()
        logger.addFilter(_not_about_sizes)
        try:
            # An explanation in another thread may have changed the gate temporarily.
            with model_lock(self.model):
                samples = super().forward(inputs, **kwargs)
        finally:
            logger.removeFilter(_not_about_sizes)
        for sample in samples:
            check_scores(sample.seg_logits.data)
        return samples

    @torch.no_grad()
    def predict(
        self,
        images: Image | Iterable[Image],
        batch_size: int = 1,
        *,
        threshold: float | None = None,
        flags: bool = False,
    ) -> Iterator[Prediction]:
        """Segment a stream of images.

        Args:
            images: Paths, or (H, W, 3) uint8 arrays, blue first; or one of them alone,
                or a folder, as calls take it.
            batch_size: Images that go through the network together, at most.
            threshold: Threshold of the conformal mask, from ``python -m mcdrl_lab
                conformal``.
            flags: Whether to compare each image with the training sites; this runs
                CLIP's tower once more.

        Yields:
            One prediction per image, in their order.

        Raises:
            ImageError: An image cannot be read.
            SiteReferenceError: ``flags`` with a checkpoint without statistics of its
                training sites.
        """
        if isinstance(images, np.ndarray):
            images = [images] if images.ndim < 4 else images
        elif isinstance(images, str | os.PathLike):
            images = self._inputs_to_list(images)
        checker = ImageChecker(self.model) if flags else None
        # Images read but not yet predicted: at most a batch and one more.
        waiting: deque[np.ndarray] = deque()

        def remembered() -> Iterator[np.ndarray]:
            for image in images:
                waiting.append(as_image(image))
                yield waiting[-1]

        # A model that replaces the loaded one may lack the attribute.
        temperature = getattr(self.model, 'temperature', None)
        source = images if checker is None else remembered()
        for data in self.preprocess(source, batch_size):
            for sample in self.forward(data):
                scores = sample.seg_logits.data
                own = lesion_probability(scores).cpu().numpy()
                labels = sample.pred_sem_seg.data[0].to(torch.uint8).cpu().numpy()
                best, network = own, None
                if temperature is not None:
                    calibrated = calibrated_probability(scores, temperature)
                    best, network = calibrated.cpu().numpy(), own
                yield Prediction(
                    labels,
                    best,
                    network,
                    None if threshold is None else at_threshold(own, threshold),
                    None if checker is None else checker.flag(waiting.popleft()),
                )
