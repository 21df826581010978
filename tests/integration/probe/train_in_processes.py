"""ZeRO, communication, and synchronised batch norm in two processes on a CPU.

Usage, with torchrun's variables: train_in_processes.py CONFIG OUTPUT_FOLDER.
Every rank writes what it found as JSON.
"""

import copy
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.model import MMDistributedDataParallel, convert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from step_in_processes import batch, build

import mcdrl_mmseg  # noqa: F401
from mcdrl_lab.benchmarks.communication import ReducedBytes, trained_bytes
from mcdrl_mmseg.engine.optimizers import ZeroCheckpointHook

_PLAIN = dict(type='AdamW', lr=1e-3, weight_decay=0.01)
_ZERO = {**_PLAIN, 'type': 'ZeroOptimizer', 'optimizer_type': 'AdamW'}


class Training:
    """A wrapped copy of a model with its optimiser."""

    def __init__(self, model, optimizer):
        self.model = MMDistributedDataParallel(
            copy.deepcopy(model), broadcast_buffers=False
        )
        self.wrapper = build_optim_wrapper(
            self.model, dict(optimizer=dict(optimizer), clip_grad=dict(max_norm=1.0))
        )

    def steps(self, count):
        images, samples = batch()
        share = slice(2 * dist.get_rank(), 2 * dist.get_rank() + 2)
        for _ in range(count):
            losses = self.model(images[share], samples[share], mode='loss')
            total, _ = self.model.module.parse_losses(losses)
            self.wrapper.update_params(total)

    def gap(self, other):
        """Largest difference of a weight, as JSON takes it."""
        theirs = other.model.state_dict()
        own = self.model.state_dict()
        return max(
            float((own[k].double() - theirs[k].double()).abs().max()) for k in own
        )


def state_numbers(optimizer):
    """How many numbers an optimiser keeps for the weights."""
    values = [v for state in optimizer.state.values() for v in state.values()]
    return sum(v.numel() for v in values if isinstance(v, torch.Tensor))


def zero(model, folder):
    plain, sharded = Training(model, _PLAIN), Training(model, _ZERO)
    start = copy.deepcopy(sharded.model.state_dict())
    plain.steps(3)
    sharded.steps(3)
    now = sharded.model.state_dict()
    found = dict(
        gap=sharded.gap(plain),
        moved=max(float((now[k].float() - start[k].float()).abs().max()) for k in now),
        share=state_numbers(sharded.wrapper.optimizer.optim)
        / state_numbers(plain.wrapper.optimizer),
    )

    # As MMEngine's runner does it: every rank calls, the first alone writes.
    @master_only
    def save_checkpoint(path, save_optimizer=True):
        content = dict(
            model=sharded.model.module.state_dict(),
            optimizer=sharded.wrapper.state_dict() if save_optimizer else None,
        )
        torch.save(content, path)

    runner = SimpleNamespace(
        optim_wrapper=sharded.wrapper, save_checkpoint=save_checkpoint
    )
    ZeroCheckpointHook().before_train(runner)
    runner.save_checkpoint(folder / 'zero.pth')
    dist.barrier()
    content = torch.load(folder / 'zero.pth', weights_only=True)
    resumed = {}
    for name, optimizer in (('with', _ZERO), ('without', _PLAIN)):
        training = Training(model, optimizer)
        training.model.module.load_state_dict(content['model'])
        training.wrapper.load_state_dict(copy.deepcopy(content['optimizer']))
        training.steps(2)
        resumed[name] = training
    sharded.steps(2)
    for name, training in resumed.items():
        found[f'resumed {name}'] = training.gap(sharded)
    return found


def communication(model):
    training = Training(model, _PLAIN)
    counted = ReducedBytes(training.model)
    prior = training.model.module.decode_head.dictionary.confounder_prior
    original = prior.clone()
    with torch.no_grad():
        prior.add_(dist.get_rank())
    training.steps(2)
    return dict(
        counted=counted.total,
        expected=2 * trained_bytes(model),
        # 0 on the first rank and 1 on the second, if nothing was broadcast.
        buffer_offset=float((prior - original).mean()),
        frozen=sum(p.numel() for p in model.parameters() if not p.requires_grad),
    )


def shared_batch_norm(model):
    converted = convert_sync_batchnorm(copy.deepcopy(model), 'torch')
    try:
        Training(converted, _PLAIN).steps(1)
    except ValueError as error:
        return str(error)
    return 'trained'


def main():
    config_file, folder = sys.argv[1:]
    dist.init_process_group('gloo')
    config = Config.fromfile(config_file)
    init_default_scope('mmseg')
    found = dict(
        zero=zero(build(config, {}), Path(folder)),
        communication=communication(build(config, {'backbone.frozen_stages': 1})),
        shared_batch_norm=shared_batch_norm(
            build(
                config,
                {'decode_head.predictor.norm_cfg': dict(_delete_=True, type='BN')},
            )
        ),
    )
    path = Path(folder) / f'training_rank{dist.get_rank()}.json'
    path.write_text(json.dumps(found))


if __name__ == '__main__':
    main()
