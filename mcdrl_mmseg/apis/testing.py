"""Options of tools/test.py, as changes to the config."""

from __future__ import annotations

from mmengine.config import Config

from mcdrl_common.config_datasets import evaluators, plain_datasets, type_name


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


def use_tta(cfg: Config) -> None:
    """Average over the views of the config's ``tta_pipeline``.

    Raises:
        ValueError: The config has no ``tta_pipeline`` or ``tta_model``.
    """
    missing = [key for key in ('tta_pipeline', 'tta_model') if key not in cfg]
    if missing:
        raise ValueError(f'--tta needs {" and ".join(missing)} in the config.')
    for part in plain_datasets(cfg.test_dataloader.dataset):
        # Of data sets of one pipeline a site, that step stays the site's own.
        own = [t for t in part.get('pipeline') or () if type_name(t) == 'SetSite']
        part['pipeline'] = [*own, *cfg.tta_pipeline]
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model


def save_predictions(cfg: Config, folder: str) -> None:
    """Write label maps as PNG files, through mmseg's ``IoUMetric``.

    Args:
        cfg: The config, changed in place.
        folder: Where to.
    """
    writer = dict(
        type='IoUMetric', format_only=True, output_dir=folder, prefix='label_maps'
    )
    cfg.test_evaluator = [*evaluators(cfg.test_evaluator), writer]
