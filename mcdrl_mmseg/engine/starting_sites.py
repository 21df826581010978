"""Compares the sites of a training with those of the checkpoint that it starts from.

The held-out site is set outside the config, by ``MCDRL_HELD_OUT``. If it is forgotten
when a run is resumed, the weights come from one fold and the data from another, and the
checkpoints record only the second.
"""

from __future__ import annotations

from mmengine.runner import Runner

from mcdrl_common.config_datasets import site_names
from mcdrl_common.trained_sites import TrainedSites
from mcdrl_mmseg.safe_loading import CheckpointError


def check_starting_sites(runner: Runner, trained: TrainedSites) -> None:
    """Refuse to resume on other sites; warn of initial weights that know the test.

    Args:
        runner: A training, its checkpoint loaded.
        trained: The sites that the checkpoint was trained on.

    Raises:
        CheckpointError: The run is resumed on other sites.
    """
    training = site_names(runner.cfg.get('train_dataloader') or {})
    tested = site_names(runner.cfg.get('test_dataloader') or {})
    if not trained.names or not training:
        return
    if runner._resume:
        if set(trained.names) != set(training):
            right = (
                f'Set MCDRL_HELD_OUT={trained.held_out}'
                if trained.held_out
                else 'Use the config and the MCDRL_HELD_OUT of its beginning'
            )
            named = runner._load_from or f'The checkpoint in {runner.work_dir}'
            raise CheckpointError(
                f'{named} was trained on {", ".join(trained.names)}, but the config '
                f'trains on {", ".join(training)}; a run is resumed on its own sites '
                f'only. {right}, or choose another --work-dir without --resume.'
            )
        return
    seen = [name for name in tested if name in trained.names and name not in training]
    if seen:
        runner.logger.warning(
            f'{runner._load_from} was trained on images of {", ".join(seen)}, '
            'which this training holds out: its scores there will not apply to a '
            'new site, and tools/test.py will not notice. Start from a checkpoint '
            'of the same fold.'
        )
