"""Compares the sites of a training with those of the checkpoint that it starts from.

The held-out site is set outside the config, by ``MCDRL_HELD_OUT``. If it is forgotten
when a run is resumed, the weights come from one fold and the data from another, and the
checkpoints record only the second.
"""

from __future__ import annotations

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .checkpoint_config import site_names
from .known_errors import OptionError
from .trained_sites import trained_sites


class StartingSitesHook(Hook):
    """Refuses to resume on other sites; warns of initial weights that know the test.

    Args:
        cfg: Config of the training.
    """

    def __init__(self, cfg: Config) -> None:
        self._training = site_names(cfg.get('train_dataloader') or {})
        self._tested = site_names(cfg.get('test_dataloader') or {})

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare with the sites that the config in the checkpoint trains on.

        Raises:
            OptionError: The run is resumed on other sites.
        """
        trained = trained_sites(checkpoint, 'the checkpoint')
        if not trained.names or not self._training:
            return
        if runner._resume:
            if set(trained.names) != set(self._training):
                right = (
                    f'Set MCDRL_HELD_OUT={trained.held_out}'
                    if trained.held_out
                    else 'Use the config and the MCDRL_HELD_OUT of its beginning'
                )
                raise OptionError(
                    f'{runner.work_dir}: its checkpoint was trained on '
                    f'{", ".join(trained.names)}, but the config trains on '
                    f'{", ".join(self._training)}; a run is resumed on its own sites '
                    f'only. {right}, or choose another --work-dir without --resume.'
                )
            return
        seen = [
            name
            for name in self._tested
            if name in trained.names and name not in self._training
        ]
        if seen:
            runner.logger.warning(
                f'{runner._load_from} was trained on images of {", ".join(seen)}, '
                'which this training holds out: its scores there will not apply to a '
                'new site, and tools/test.py will not notice. Start from a checkpoint '
                'of the same fold.'
            )
