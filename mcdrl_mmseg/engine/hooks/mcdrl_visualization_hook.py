"""Draws what MCDRL sees in a few fixed images during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import mmcv
import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mcdrl_mmseg.engine.runner import find_parts
from mcdrl_mmseg.models import CausalInterventionHead

if TYPE_CHECKING:
    # Imported late: importing the package should not wait for Matplotlib.
    from mcdrl_mmseg.visualization.validation_picture import ValidatedImage


@HOOKS.register_module()
class MCDRLVisualizationHook(Hook):
    """Show, at validation, what the head selects and attends to.

    Pictures and scalars go to the runner's visualizer, and so to every backend in
    ``vis_backends`` (local files, TensorBoard, W&B, MLflow):

    - ``mcdrl_SITE_IMAGE``, for a few fixed images: prediction and ground truth,
      similarity and kept regions, attention to each confounder;
    - ``mcdrl_attention``: mean attention to each confounder by site, over all
      validation images, and the same as the scalars ``attention/SITE/CONFOUNDER``.

    All values come from the validation's own forward passes; forward hooks are only
    registered when something is to be drawn. Losses and gate are not drawn: MMEngine
    logs the losses, and :class:`InterventionWarmupHook` the gate.

    Attention is left out for heads that train none (``approximation`` other than
    ``'attention'``, ``attend_to='self'``). Maps are left out with sliding windows.

    Args:
        num_images: Images to draw for each site, evenly spaced over its validation
            part.
        images: Ends of the paths of the images to draw, as
            ``'polypgen_c2/images/a.jpg'``; replaces ``num_images``.
        interval: Draw at every n-th validation, and at the last one.

    Raises:
        ValueError: ``num_images`` is negative, ``interval`` not positive, or an entry
            of ``images`` is the end of no validation image's path, or of several.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='MCDRLVisualizationHook', num_images=2, interval=5)]
    """

    priority = 'NORMAL'

    def __init__(
        self, num_images: int = 1, images: Sequence[str] = (), interval: int = 1
    ) -> None:
        if num_images < 0 or interval < 1:
            raise ValueError(
                f'MCDRLVisualizationHook: num_images={num_images} must be 0 or more, '
                f'interval={interval} 1 or more.'
            )
        self.num_images = num_images
        self.images = [images] if isinstance(images, str) else list(images)
        self.interval = interval
        self._head: CausalInterventionHead | None = None
        self._chosen: set[str] | None = None
        self._listening = False
        self._handles: list = []
        self._clear()

    def _clear(self) -> None:
        """Clear the results of the last batch and the last validation."""
        self._selections: list[tuple[Tensor, Tensor, tuple[int, int]]] = []
        self._attentions: list[Tensor] = []
        self._calls = 0
        self._drawn: dict[str, tuple[str, ValidatedImage]] = {}
        self._profile: dict[str, tuple[str, np.ndarray]] = {}

    def before_train(self, runner: Runner) -> None:
        """Find the head and the images, so that config errors show at the start."""
        self._set_up(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """Register forward hooks, if this validation is to be drawn."""
        self._set_up(runner)
        # An aborted validation would leave its forward hooks behind.
        self._remove_forward_hooks()
        self._clear()
        if self._head is None or not self._is_due(runner):
            return
        self._listening = True
        if self._head.region_selector is not None:
            self._handles.append(
                self._head.region_selector.register_forward_hook(
                    self._note_selection, with_kwargs=True
                )
            )
        from mcdrl_mmseg.models.confounder_attention import attends_to_dictionary

        if attends_to_dictionary(self._head):
            self._handles.append(
                self._head.intervention.register_forward_hook(self._note_attention)
            )

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[SegDataSample] | None = None,
    ) -> None:
        """Store the results of the chosen images, and the attention of all images."""
        if not self._listening:
            return
        from mcdrl_mmseg.evaluation.sample_reader import ONE_SITE

        outputs = outputs or ()
        attention = self._batch_attention(len(outputs))
        for number, sample in enumerate(outputs):
            path = sample.img_path
            site = sample.get('site') or ONE_SITE
            own = None if attention is None else attention[number]
            if own is not None:
                self._profile[path] = (site, own)
            if path in (self._chosen or ()):
                self._drawn[path] = (site, self._result(sample, number, own))
        self._selections.clear()
        self._attentions.clear()

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Draw, in the main process."""
        if not self._listening:
            return
        self._remove_forward_hooks()
        parts = all_gather_object((self._drawn, self._profile))
        self._clear()
        if not is_main_process():
            return
        drawn: dict[str, tuple[str, ValidatedImage]] = {}
        profile: dict[str, tuple[str, np.ndarray]] = {}
        for drawn_part, profile_part in parts:
            drawn.update(drawn_part)
            profile.update(profile_part)
        step = _progress(runner)
        names = _names_at_site({path: site for path, (site, _) in drawn.items()})
        for path in sorted(drawn):
            self._draw_image(runner, path, names[path], *drawn[path], step)
        if profile:
            self._draw_profile(runner, profile, step)

    def _set_up(self, runner: Runner) -> None:
        if self._chosen is not None:
            return
        self._chosen = set()
        heads = find_parts(runner, CausalInterventionHead)
        if not heads:
            runner.logger.warning(
                'MCDRLVisualizationHook finds no CausalInterventionHead in the model '
                'and draws nothing.'
            )
            return
        if runner.val_loop is None:
            runner.logger.warning(
                'MCDRLVisualizationHook draws during validation, but this run has no '
                'validation: set val_dataloader, val_evaluator and val_cfg.'
            )
            return
        self._head = heads[0]
        self._chosen = self._choose(runner.val_dataloader.dataset)

    def _choose(self, dataset: Any) -> set[str]:
        from mcdrl_mmseg.evaluation.sample_reader import ONE_SITE

        by_site: dict[str, list[str]] = {}
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            by_site.setdefault(info.get('site', ONE_SITE), []).append(info['img_path'])
        if not self.images:
            return {
                paths[(2 * k + 1) * len(paths) // (2 * count)]
                for paths in by_site.values()
                for count in [min(self.num_images, len(paths))]
                for k in range(count)
            }
        every = [path for paths in by_site.values() for path in paths]
        chosen = set()
        for name in self.images:
            found = [path for path in every if _ends_as(path, name)]
            if len(found) != 1:
                raise ValueError(
                    f'MCDRLVisualizationHook: images lists {name!r}: expected one '
                    f'validation image whose path ends with it, found {len(found)}. '
                    f'The first validation image is {every[0]!r}.'
                )
            chosen.update(found)
        return chosen

    def _is_due(self, runner: Runner) -> bool:
        loop = runner._train_loop
        # A validation without training has no training loop built.
        if loop is None or isinstance(loop, dict):
            return True
        progress = _progress(runner)
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        last = loop.max_epochs if by_epoch else loop.max_iters
        return progress >= last or progress // loop.val_interval % self.interval == 0

    @property
    def _found_head(self) -> CausalInterventionHead:
        """The head; forward hooks and drawing require that it was found."""
        assert self._head is not None
        return self._head

    def _note_selection(
        self, module: nn.Module, args: tuple, kwargs: dict, output: Any
    ) -> None:
        # Only the leading map, which is the last of the intervened maps.
        self._calls += 1
        if self._calls % len(self._found_head.in_indices):
            return
        similarity, indices = output
        grid = kwargs.get('grid') or similarity.shape[2:]
        self._selections.append((similarity, indices, tuple(grid)))

    def _note_attention(self, module: nn.Module, args: tuple, output: Any) -> None:
        from mcdrl_mmseg.models.confounder_attention import image_attention

        self._attentions.append(image_attention(self._found_head, args[0]))

    def _batch_attention(self, size: int) -> np.ndarray | None:
        """(B, M), over all windows of each image."""
        if not self._attentions:
            return None
        windows = sum(self._attentions) / len(self._attentions)
        return windows[:size].cpu().numpy()

    def _result(
        self, sample: SegDataSample, number: int, attention: np.ndarray | None
    ) -> ValidatedImage:
        from mcdrl_mmseg.visualization.padding import WHOLE, window_of
        from mcdrl_mmseg.visualization.validation_picture import ValidatedImage

        similarity = kept = truth = None
        # mmseg only sets pad_shape if it padded the image.
        padded = sample.get('pad_shape')
        window = window_of(sample.metainfo, padded[:2]) if padded else WHOLE
        # With sliding windows no map covers the whole image.
        if len(self._selections) == 1:
            maps, indices, grid = self._selections[0]
            similarity = maps[number].amax(dim=0).float().cpu().numpy()
            inside = np.zeros(grid[0] * grid[1], dtype=bool)
            inside[indices[number].cpu().numpy()] = True
            kept = inside.reshape(grid)
        if 'gt_sem_seg' in sample:
            truth = sample.gt_sem_seg.data[0].cpu().numpy()
        prediction = sample.pred_sem_seg.data[0].cpu().numpy()
        return ValidatedImage(prediction, truth, similarity, kept, attention, window)

    def _draw_image(
        self,
        runner: Runner,
        path: str,
        name: str,
        site: str,
        result: ValidatedImage,
        step: int,
    ) -> None:
        from mcdrl_common.figure_files import figure_array
        from mcdrl_mmseg.models.confounder_attention import entry_names
        from mcdrl_mmseg.visualization.backends import add_picture
        from mcdrl_mmseg.visualization.validation_picture import validation_picture

        image = mmcv.imfrombytes(get(path), channel_order='rgb')
        title = f'{site}: {name}'
        head = self._found_head
        if head.intervention is not None:
            title += f', gate {float(head.intervention.gate):.2f}'
        entries = entry_names(head.dictionary)
        figure = validation_picture(image, result, entries, title)
        # It becomes a file name: a slash would mean a folder that does not exist.
        name = f'mcdrl_{site}_{name.replace("/", "_")}'
        add_picture(runner.visualizer, name, figure_array(figure), step)

    def _draw_profile(
        self, runner: Runner, profile: dict[str, tuple[str, np.ndarray]], step: int
    ) -> None:
        from mcdrl_common.figure_files import figure_array
        from mcdrl_mmseg.models.confounder_attention import entry_names
        from mcdrl_mmseg.visualization.backends import add_picture
        from mcdrl_mmseg.visualization.confounder_profile import confounder_profile

        by_site: dict[str, list[np.ndarray]] = {}
        for site, attention in profile.values():
            by_site.setdefault(site, []).append(attention)
        rows = {site: np.stack(by_site[site]) for site in sorted(by_site)}
        dictionary = self._found_head.dictionary
        names = entry_names(dictionary)
        prior = dictionary.confounder_prior.cpu().numpy()
        figure = confounder_profile(rows, names, prior)
        picture = figure_array(figure)
        add_picture(runner.visualizer, 'mcdrl_attention', picture, step)
        scalars = {
            f'attention/{site}/{name}': float(value)
            for site, values in rows.items()
            for name, value in zip(names, values.mean(axis=0))
        }
        runner.visualizer.add_scalars(scalars, step=step)

    def _remove_forward_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._listening = False


def _progress(runner: Runner) -> int:
    """Epochs trained so far; iterations in an iteration-based loop."""
    loop = runner._train_loop
    if loop is None or isinstance(loop, dict):
        return 0
    return loop.epoch if isinstance(loop, EpochBasedTrainLoop) else loop.iter


def _names_at_site(sites: Mapping[str, str]) -> dict[str, str]:
    """Names of images, unique within a site.

    Args:
        sites: Path -> site.
    """
    from mcdrl_common.distinct_names import distinct_names

    names: dict[str, str] = {}
    for site in set(sites.values()):
        own = [path for path in sites if sites[path] == site]
        names.update(zip(own, distinct_names(own)))
    return names


def _ends_as(path: str, name: str) -> bool:
    """Whether a path ends with the parts of a name."""
    parts = PurePath(name).parts
    return PurePath(path).parts[-len(parts) :] == parts
