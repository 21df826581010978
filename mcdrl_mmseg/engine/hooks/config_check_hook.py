"""Checks the config before anything is trained, and the checkpoint of a test."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from mcdrl_mmseg.engine.runner import unwrap_model

# Where MCDRL keeps the parts of a stock model.
_WRAPPED = {
    'backbone.': 'backbone.backbone.',
    'neck.': 'backbone.neck.',
    'decode_head.': 'decode_head.predictor.',
}
# Whether batch norm has counted its steps changes no prediction, and old files lack it.
_COUNTER = '.num_batches_tracked'


@HOOKS.register_module()
class ConfigCheckHook(Hook):
    """Stop a training whose config contradicts itself, and a test of random weights.

    ``tools/train.py`` of this package checks the config before it builds anything, and
    the hook does not do it again. With the hook MMSegmentation's own ``tools/train.py``
    finds the same, once the model is built, and before the first step.

    MMEngine loads of a checkpoint what fits the model, leaves the rest as it was drawn,
    and goes on: the test of another config's checkpoint would give scores. It is
    refused. So is a training that begins, by ``load_from``, from a stock model of which
    MCDRL wraps the parts: their weights go by other names, and none would be loaded.

    Examples:
        >>> default_hooks = dict(config_check=dict(type='ConfigCheckHook'))
    """

    # Before the data are read.
    priority = 5

    def __init__(self) -> None:
        # Set by whoever builds a runner from a config that was checked before.
        self.checked = False
        self._loaded: Mapping[str, Tensor] | None = None

    def before_train(self, runner: Runner) -> None:
        """Check the config that the runner was built from.

        Raises:
            ConfigCheckError: Names every problem.
            CheckpointError: The weights to begin from are a stock model's.
        """
        from mcdrl_mmseg.engine.config_check import check_config

        # A training may begin from parts, and makes the rest its own.
        state, self._loaded = self._loaded, None
        if state is not None:
            _refuse_unwrapped(runner, state)
        # Of a runner that was built from objects there is nothing to check.
        if runner.cfg.get('model') and not self.checked:
            check_config(runner.cfg)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note what the checkpoint holds; whether to test is not known yet."""
        state = checkpoint.get('state_dict', checkpoint)
        self._loaded = {key.removeprefix('module.'): state[key] for key in state}

    def before_test(self, runner: Runner) -> None:
        """Refuse a checkpoint that left weights of the model as they were drawn.

        Raises:
            CheckpointError: Names some of them.
        """
        from mcdrl_mmseg.safe_loading import refuse_misfit

        state, self._loaded = self._loaded, None
        if state is None:
            return
        model = unwrap_model(runner)
        if isinstance(model, BaseTTAModel):
            model = model.module
        missing, other_shape = [], []
        try:
            # Loaded once more, as some parts bring older weights, or those of another
            # image size, into their own form while they load.
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
            'They would be random. Test it under the config that it was trained with, '
            'which lies in its work folder.',
        )

    def before_val(self, runner: Runner) -> None:
        """As before a test: a validation without training measures weights, too.

        Raises:
            CheckpointError: See :meth:`before_test`.
        """
        self.before_test(runner)


def _refuse_unwrapped(runner: Runner, state: Mapping[str, Tensor]) -> None:
    """Refuse to begin from the checkpoint of the stock model that MCDRL wraps."""
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
            f'{runner.cfg.get("load_from")} is of the stock model: {len(moved)} of its '
            f'weights have another name in the one with MCDRL{few_keys(sorted(moved))} '
            'and would stay random. In the place of load_from give the stock backbone '
            "and decode head init_cfg=dict(type='Pretrained', checkpoint=FILE, "
            "prefix='backbone.') and prefix='decode_head.'."
        )
