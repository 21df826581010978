"""Setup shared by tools/train.py and tools/test.py: config, work folder, processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.runner import Runner
from mmseg.registry import RUNNERS

from mcdrl_common.config_datasets import evaluators, type_name
from mcdrl_mmseg.engine.config_check import check_config
from mcdrl_mmseg.engine.insertion import with_mcdrl

from .config import FormattedOnceConfig, named_merging, read_config
from .console import ToolMCDRLRunner, ToolRunner
from .slurm import set_rendezvous


def load_config(
    path: str,
    cfg_options: dict | None = None,
    work_dir: str | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config as MMSegmentation's tools do.

    Args:
        path: Config file.
        cfg_options: Entries to override.
        work_dir: Folder for logs and checkpoints. None takes the config's, or
            ``work_dirs/<name of the config>``.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Returns:
        The config, with ``work_dir`` and ``launcher`` set.

    Raises:
        FileNotFoundError: No such config.
        ConfigFileError: The config, or an option, merges a dict into a value that is
            none.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'config {path!r} is not a file.')
    cfg = FormattedOnceConfig.of(read_config(path))
    cfg.launcher = launcher
    planned = cfg.get('work_dir')
    if cfg_options is not None:
        with named_merging('--cfg-options'):
            cfg.merge_from_dict(cfg_options)
    if work_dir is not None:
        cfg.work_dir = work_dir
        _move_records(cfg, planned, cfg_options or {})
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(path).stem)
    return cfg


def _move_records(cfg: Config, planned: str | None, cfg_options: Mapping) -> None:
    """Redirect records from the config's own work folder to the new work folder.

    Configs of a plan name their folder: another test must not replace its records.
    """
    if planned is None or any('records_path' in key for key in cfg_options):
        return
    for key in ('val_evaluator', 'test_evaluator'):
        for metric in evaluators(cfg.get(key)):
            path = metric.get('records_path')
            if path and Path(path).resolve().is_relative_to(Path(planned).resolve()):
                inside = Path(path).resolve().relative_to(Path(planned).resolve())
                metric['records_path'] = str(Path(cfg.work_dir) / inside)


def _keep_config_file(cfg: Config) -> None:
    """Keep MMEngine from replacing the file that a config was read from.

    MMEngine writes the current config, ``load_from`` and ``resume`` included, into the
    work folder under the config's file name; without one it uses the start time.
    """
    path, folder = cfg.filename, cfg.get('work_dir')
    if path and folder and Path(path).resolve().parent == Path(folder).resolve():
        object.__setattr__(cfg, '_filename', None)


def insert_and_check(cfg: Config, training: bool = True) -> Config:
    """Insert MCDRL if the config requests it, and check the config.

    Args:
        cfg: From :func:`load_config`.
        training: Whether the config is for a training, see
            :func:`~mcdrl_mmseg.engine.config_check.find_problems`.

    Returns:
        The config to run, with MCDRL inserted.

    Raises:
        ConfigCheckError: The config has problems; the message names all of them.
    """
    cfg = with_mcdrl(cfg)
    check_config(cfg, training)
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the config's runner, also on machines without a GPU.

    MMEngine's launcher selects a GPU for each process. Without a GPU, the process group
    is initialised here, with gloo.

    Args:
        cfg: From :func:`load_config`.

    Raises:
        SlurmError: The launcher is ``slurm``, and srun did not start this process.
    """
    _keep_config_file(cfg)
    if cfg.launcher == 'slurm':
        set_rendezvous()
    if cfg.launcher in ('pytorch', 'slurm') and not torch.cuda.is_available():
        if not is_distributed():
            torch.distributed.init_process_group(backend='gloo')
        # MMEngine's default sets device_ids, a GPU for each process.
        wrapper = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
        cfg.model_wrapper_cfg = {
            **wrapper,
            **(cfg.get('model_wrapper_cfg') or {}),
            'device_ids': None,
        }
    if cfg.get('runner_type') == 'MCDRLRunner':
        return ToolMCDRLRunner.from_cfg(cfg)
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return ToolRunner.from_cfg(cfg)


def enable_amp(cfg: Config) -> None:
    """Turn on automatic mixed precision: float16 on a GPU, bfloat16 on a CPU.

    Raises:
        ValueError: The type of the optimizer wrapper has no AMP counterpart.
    """
    wrapper = cfg.optim_wrapper
    name = type_name(wrapper)
    if name in ('AmpOptimWrapper', 'BFloat16OptimWrapper'):
        return
    if name != 'OptimWrapper':
        raise ValueError(
            "--amp needs optim_wrapper.type='OptimWrapper', got "
            f'{wrapper.type!r}. Leave out --amp and set AMP in the config.'
        )
    if torch.cuda.is_available():
        wrapper.type = 'AmpOptimWrapper'
        wrapper.loss_scale = 'dynamic'
    else:
        wrapper.type = 'BFloat16OptimWrapper'
