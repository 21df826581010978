"""Checks the config before a training, and the loaded checkpoint before a test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from mcdrl_mmseg.clip.norm_activations import keep_activations
from mcdrl_mmseg.engine.runner import unwrap_model

if TYPE_CHECKING:
    from mcdrl_common.trained_sites import TrainedSites

# Prefixes of a stock model's weights, and their prefixes in the model with MCDRL.
_WRAPPED = {
    'backbone.': 'backbone.backbone.',
    'neck.': 'backbone.neck.',
    'decode_head.': 'decode_head.predictor.',
}
# Batch norm's step counter changes no prediction, and old files lack it.
_COUNTER = '.num_batches_tracked'


@HOOKS.register_module()
class ConfigCheckHook(Hook):
    """Stop a training with an inconsistent config, and a test of random weights.

    ``tools/train.py`` of this package checks the config before it builds anything; the
    hook then does not repeat the check. With MMSegmentation's own ``tools/train.py``
    the hook checks the config after the model is built and before the first step.

    MMEngine loads the weights of a checkpoint that fit the model and leaves the others
    random: a test of another config's checkpoint would give scores without an error.
    The hook refuses it. It also refuses a training with ``load_from`` a stock model
    whose parts MCDRL wraps: as their weights have other names, none would be loaded.

    It also refuses a test, or a resumed training, on data whose classes have other
    labels than those of the checkpoint: the label of a polyp would mean a nodule. A run
    is not resumed on other sites than its own, as without its ``MCDRL_HELD_OUT``.

    Besides, it undoes what ``sync_bn`` does to a stock backbone of timm:
    :func:`~mcdrl_mmseg.clip.norm_activations.keep_activations`.

    Examples:
        >>> default_hooks = dict(config_check=dict(type='ConfigCheckHook'))
    """

    # Before the hooks that read data.
    priority = 5

    def __init__(self) -> None:
        # Set by callers that checked the config before they built the runner.
        self.checked = False
        self._loaded: Mapping[str, Tensor] | None = None
        self._classes: Sequence[str] = ()
        self._trained: TrainedSites | None = None

    def before_run(self, runner: Runner) -> None:
        """Let norms of timm go on activating, in whatever part of the model they are.

        Raises:
            ValueError: ``sync_bn='mmcv'``, under which they cannot.
        """
        keep_activations(runner.model)

    def before_train(self, runner: Runner) -> None:
        """Check the config that the runner was built from.

        Raises:
            ConfigCheckError: The config has problems; the message names all of them.
            CheckpointError: ``load_from`` is a checkpoint of the stock model, or the
                classes of a resumed run have other labels, or it has other sites.
        """
        from mcdrl_mmseg.engine.config_check import check_config
        from mcdrl_mmseg.engine.starting_sites import check_starting_sites

        if self._trained:
            check_starting_sites(runner, self._trained)
        if self._classes and runner._resume:
            self._refuse_moved_classes(runner, runner.train_dataloader)
        # Missing weights are fine here: a training may start from a partial checkpoint.
        state, self._loaded = self._loaded, None
        if state is not None:
            _refuse_unwrapped(runner, state)
        # A runner that was built from objects has no config to check.
        if runner.cfg.get('model') and not self.checked:
            check_config(runner.cfg)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note the loaded weights; whether a test follows is not known yet."""
        from mcdrl_common.trained_sites import trained_sites
        from mcdrl_mmseg.engine.class_order import trained_classes

        state = checkpoint.get('state_dict', checkpoint)
        self._loaded = {key.removeprefix('module.'): state[key] for key in state}
        self._classes = trained_classes(checkpoint)
        self._trained = trained_sites(checkpoint, 'the checkpoint')

    def _refuse_moved_classes(self, runner: Runner, loader: Any) -> None:
        from mcdrl_mmseg.engine.class_order import moved_class
        from mcdrl_mmseg.safe_loading import CheckpointError

        labelled = getattr(loader.dataset, 'metainfo', {}).get('classes') or ()
        if problem := moved_class(self._classes, labelled):
            named = runner._load_from or f'The checkpoint in {runner.work_dir}'
            raise CheckpointError(f'{named} {problem}')

    def before_test(self, runner: Runner) -> None:
        """Refuse a checkpoint that leaves weights random, or has other labels.

        Raises:
            CheckpointError: There are such weights, and the message names some; or a
                class has another label in the data.
        """
        self._check_loaded(runner, 'test')

    def before_val(self, runner: Runner) -> None:
        """As before a test: a validation without training scores weights as well.

        Raises:
            CheckpointError: See :meth:`before_test`.
        """
        self._check_loaded(runner, 'val')

    def _check_loaded(self, runner: Runner, loader: str) -> None:
        from mcdrl_mmseg.safe_loading import refuse_misfit

        state, self._loaded = self._loaded, None
        if state is None:
            return
        if self._classes:
            self._refuse_moved_classes(runner, getattr(runner, f'{loader}_dataloader'))
        model = unwrap_model(runner)
        if isinstance(model, BaseTTAModel):
            model = model.module
        missing, other_shape = [], []
        try:
            # Loaded again, instead of comparing keys: some modules convert older
            # weights, or weights of another image size, while they load.
            missing = model.load_state_dict(state, strict=False).missing_keys
        except RuntimeError as error:
            other_shape = re.findall(r'size mismatch for (\S+):', str(error))
            if not other_shape:
                raise
            missing = [key for key in model.state_dict() if key not in state]
        missing = [key for key in missing if not key.endswith(_COUNTER)]
        refuse_misfit(
            runner.cfg.get('load_from') or 'The checkpoint',
            model,
            missing,
            other_shape,
            'They would be random. Use the config that the checkpoint was trained '
            'with; it is in the work folder of the training.',
        )


def _refuse_unwrapped(runner: Runner, state: Mapping[str, Tensor]) -> None:
    """Refuse to start from the checkpoint of the stock model that MCDRL wraps."""
    own = unwrap_model(runner).state_dict()
    moved = [
        key
        for key in state.keys() - own.keys()
        for stock, wrapped in _WRAPPED.items()
        if key.startswith(stock) and wrapped + key.removeprefix(stock) in own
    ]
    if moved:
        from mcdrl_mmseg.safe_loading import CheckpointError, few_keys

        raise CheckpointError(
            f'{runner.cfg.get("load_from")} is a checkpoint of the stock model: '
            f'{len(moved)} of its weights have other names in the model with '
            f'MCDRL{few_keys(sorted(moved))} and would not be loaded. Instead of '
            'load_from, give the stock backbone '
            "init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='backbone.'), "
            "and the stock decode head the same with prefix='decode_head.'."
        )
