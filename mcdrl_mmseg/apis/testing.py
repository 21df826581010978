"""Applies options of tools/test.py to the config."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mcdrl_common.config_datasets import plain_datasets, site_names, type_name
from mcdrl_common.trained_sites import TrainedSites, trained_on_note, trained_sites
from mcdrl_mmseg.engine.config_check import ConfigCheckError
from mcdrl_mmseg.engine.config_check.config_components import components
from mcdrl_mmseg.engine.config_check.site_entries import site_problems


def draw_predictions(
    cfg: Config, show: bool, show_dir: str | None, wait_time: float
) -> None:
    """Let the visualization hook draw every prediction.

    Args:
        cfg: The config, changed in place.
        show: Whether to show them in a window.
        show_dir: Folder to write them to.
        wait_time: Seconds each stays in the window.

    Raises:
        ValueError: The config has no visualization hook.
    """
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise ValueError(
            '--show and --show-dir need default_hooks.visualization='
            "dict(type='SegVisualizationHook') in the config."
        )
    hook['draw'] = True
    hook['interval'] = 1
    if show:
        hook['show'] = True
        hook['wait_time'] = wait_time
    if show_dir:
        cfg.visualizer['save_dir'] = show_dir


def use_tta(cfg: Config) -> str | None:
    """Average over the views of the config's ``tta_pipeline``.

    Args:
        cfg: The config, changed in place.

    Returns:
        A note if no view has the size of the plain test, for which the network was
        trained; else None.

    Raises:
        ValueError: The config has no ``tta_pipeline`` or ``tta_model``, or the pipeline
            loses a site's mask format or name.
    """
    missing = [key for key in ('tta_pipeline', 'tta_model') if key not in cfg]
    if missing:
        raise ValueError(f'--tta needs {" and ".join(missing)} in the config.')
    note = None
    views = set(_sizes(cfg.tta_pipeline))
    for part in plain_datasets(cfg.test_dataloader.dataset):
        # If each site has its own pipeline, keep the step that sets the site.
        steps = part.get('pipeline') or ()
        usual = set(_sizes(steps))
        if views and usual and not views & usual:
            note = (
                f'--tta: tta_pipeline resizes images to {_as_text(views)}, but the '
                f'test pipeline to {_as_text(usual)}. The scores with and without '
                '--tta are for different sizes. Give the Resize of tta_pipeline the '
                'same scale.'
            )
        own = [t for t in steps if type_name(t) == 'SetSite']
        part['pipeline'] = [*own, *cfg.tta_pipeline]
    # Check again: the config was checked with the plain test pipeline.
    if problems := [*site_problems(cfg, components(cfg))]:
        raise ConfigCheckError(problems, cfg.filename)
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model
    return note


def _sizes(steps: Iterable[Any]) -> Iterator[tuple[int, ...]]:
    """(width, height) of each step that resizes to a size, of all views."""
    for step in steps:
        if type_name(step) == 'TestTimeAug':
            for choices in step.get('transforms') or ():
                yield from _sizes(choices)
        elif type_name(step) == 'Resize' and step.get('scale'):
            scale = step['scale']
            yield (scale, scale) if isinstance(scale, int) else tuple(scale)


def _as_text(sizes: Iterable[tuple[int, ...]]) -> str:
    return ', '.join(' x '.join(map(str, size)) for size in sorted(sizes))


class NoteHook(Hook):
    """Logs a note below the scores of a test.

    Args:
        note: The note.
    """

    def __init__(self, note: str) -> None:
        self._note = note

    def after_test(self, runner: Runner) -> None:
        """Log the note."""
        runner.logger.warning(self._note)


class TrainedOnHook(Hook):
    """Warns if a test uses sites that the checkpoint was trained on.

    The held-out site is set outside the config, by ``MCDRL_HELD_OUT``. If it is set for
    the training only, the test uses training sites, and scores look too good.

    Args:
        cfg: Config of the test.
    """

    def __init__(self, cfg: Config) -> None:
        self._tested = site_names(cfg.get('test_dataloader') or {})
        self._source = str(cfg.get('load_from'))
        self._trained = TrainedSites()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note which sites the config in the checkpoint trains on."""
        self._trained = trained_sites(checkpoint, self._source)

    def after_test(self, runner: Runner) -> None:
        """Log the warning below the scores."""
        note = trained_on_note(self._trained, self._tested, self._source)
        if note:
            runner.logger.warning(note)
