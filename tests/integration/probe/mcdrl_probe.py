"""Watches a run from inside; configs of the integration tests import it.

In the folder that ``MCDRL_PROBE_DIR`` names it records every pass of a text tower, and
a hook keeps predictions and dictionaries.
"""

import os
import signal
from pathlib import Path

import open_clip.transformer
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmseg.registry import HOOKS

_FOLDER = Path(os.environ['MCDRL_PROBE_DIR'])
_FOLDER.mkdir(parents=True, exist_ok=True)


def _note(name, line):
    with (_FOLDER / name).open('a') as file:
        file.write(f'{line}\n')


def _count_text_passes():
    forward = open_clip.transformer.TextTransformer.forward

    def counted(self, text, *args, **kwargs):
        _note('text_passes', len(text))
        return forward(self, text, *args, **kwargs)

    open_clip.transformer.TextTransformer.forward = counted


_count_text_passes()


@HOOKS.register_module()
class ProbeHook(Hook):
    """Keep what tests compare; on request, end the process as a power cut would.

    Args:
        kill_at_iter: Iteration, counted from 1, after which the process is killed.
        dtypes_of: Name of a submodule whose outputs' dtypes are noted.
    """

    priority = 'LOWEST'

    def __init__(self, kill_at_iter=None, dtypes_of=None):
        self.kill_at_iter = kill_at_iter
        self.dtypes_of = dtypes_of
        self.predictions = {}

    def before_train(self, runner):
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        torch.save(
            dict(model.decode_head.dictionary.named_buffers()),
            _FOLDER / f'dictionary_rank{get_rank()}.pt',
        )
        torch.save(model.state_dict(), _FOLDER / f'initial_rank{get_rank()}.pt')
        if self.dtypes_of is not None:
            model.get_submodule(self.dtypes_of).register_forward_hook(
                lambda module, inputs, output: _note('dtypes', output.dtype)
            )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.kill_at_iter:
            os.kill(os.getpid(), signal.SIGKILL)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for sample in outputs:
            self.predictions[sample.img_path] = dict(
                mask=sample.pred_sem_seg.data.clone(),
                logits=sample.seg_logits.data.clone(),
            )

    def after_val_epoch(self, runner, metrics=None):
        torch.save(self.predictions, _FOLDER / f'predictions_epoch_{runner.epoch}.pt')
        self.predictions = {}
