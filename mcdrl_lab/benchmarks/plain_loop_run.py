"""The two modes of ``plain-loop``: train and score, or time beside the trainer."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mcdrl_common.atomic_write import write_text
from mcdrl_common.sites import Site, SiteFolders
from mcdrl_common.written_files import WrittenFiles, check_renewable, places
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.pretraining.endo_model import imagenet_file

from .environment import environment, sentence
from .plain_loop import (
    SKIPPED,
    Loop,
    Pair,
    PlainNetwork,
    dice_of_lesions,
    images_a_second,
    training_steps,
)


class _StepTimes(Hook):
    """Records CPU time at the end of each step, data loading included."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.ends: list[float] = []
        self.images = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Record the time; end the training after enough steps."""
        self.ends.append(time.process_time())
        if len(self.ends) > SKIPPED:
            self.images += len(data_batch['inputs'])
        if len(self.ends) == SKIPPED + self.steps:
            raise _Timed

    @property
    def images_a_second(self) -> float:
        """Throughput of the timed steps, in CPU time."""
        return self.images / (self.ends[-1] - self.ends[SKIPPED - 1])


class _Timed(Exception):
    """Ends the training: enough steps were timed."""


def site_pairs(data: Path, held_out: str, split: str) -> list[Pair]:
    """Files of the training sites' training split, or of the held-out site.

    Args:
        data: Folder of the sites.
        held_out: Name of the site that is held out.
        split: ``'train'`` or ``'test'``.

    Raises:
        ProtocolError: No such site, or no other.
    """
    names = sorted(path.parent.name for path in data.glob('*/images'))
    if held_out not in names or len(names) < 2:
        raise ProtocolError(
            f'--held-out {held_out}: {data} holds {names}; expected this site and '
            'others in folders SITE/images and SITE/masks.'
        )
    train = split == 'train'
    sites = [Site(name) for name in names if (name != held_out) == train]
    folders = SiteFolders(data, sites, 'train' if train else 'all')
    return [
        Pair(Path(sample['img_path']), Path(sample['seg_map_path']))
        for sample in folders.samples()
    ]


def train_and_score(args: argparse.Namespace) -> None:
    """Train on all sites but one, test on that one, and print Dice.

    Args:
        args: Arguments of the command.
    """
    loop = Loop(epochs=args.epochs, seed=args.seed)
    pairs = site_pairs(args.data, args.held_out, 'train')
    torch.manual_seed(loop.seed)
    model = PlainNetwork(args.imagenet or imagenet_file())
    begin, images = time.process_time(), 0
    for images_of_step in training_steps(model, pairs, loop):
        images += images_of_step
    seconds = time.process_time() - begin
    scores = dice_of_lesions(
        model.eval(), site_pairs(args.data, args.held_out, 'test'), loop.size
    )
    print(
        f'{args.held_out}: Dice {100 * np.mean(scores):.1f}, mean of {len(scores)} '
        f'images with a lesion; {loop.epochs} epochs of {len(pairs)} images, seed '
        f'{loop.seed}, {seconds / 60:.1f} minutes on the core, '
        f'{images / seconds:.1f} images a second.\n{sentence(environment("cpu"))}'
    )


def compare_speed(args: argparse.Namespace) -> None:
    """Time the loop, the training of a config, and the loop again; print throughputs.

    Args:
        args: Arguments of the command.

    Raises:
        ProtocolError: The config's images or batches differ from the loop's.
    """
    made_of = [
        'plain-loop',
        *places(args.data, args.against),
        f'--held-out {args.held_out}',
        f'--threads {args.threads}',
    ]
    if args.out:
        check_renewable([args.out], [Path(args.against)], made_of, args.overwrite)
    loop = Loop(epochs=1000, seed=args.seed)
    pairs = site_pairs(args.data, args.held_out, 'train')
    steps = training_steps(PlainNetwork(args.imagenet or imagenet_file()), pairs, loop)
    before = images_a_second(steps, args.steps)
    trainer = _trainer_speed(args, loop)
    after = images_a_second(steps, args.steps)
    plain = (before + after) / 2
    if args.out:
        speeds = dict(plain=plain, trainer=trainer)
        write_text(args.out, json.dumps(speeds, indent=1) + '\n')
        WrittenFiles(args.out.parent).add(args.out, made_of)
    print(
        f'plain loop   {plain:.1f} images a second ({before:.1f} before, {after:.1f} '
        f'after)\ntrainer      {trainer:.1f}, {trainer / plain:.2f} of the plain '
        f'loop: {Path(args.against).name}\nTime on the core, loading included, '
        f'{args.steps} steps of {loop.batch_size} images each.\n'
        f'{sentence(environment("cpu"))}'
    )


def _trainer_speed(args: argparse.Namespace, loop: Loop) -> float:
    from mmengine.registry import init_default_scope

    from mcdrl_lab.plans.folds import derive_fold, run_budget
    from mcdrl_mmseg.apis.run_setup import build_runner, insert_and_check, load_config
    from mcdrl_mmseg.engine.quick_steps import quick_steps

    init_default_scope('mmseg')
    with tempfile.TemporaryDirectory() as folder:
        cfg = derive_fold(load_config(args.against, None, folder), args.held_out)
        budget = run_budget(cfg, 0)
        if (budget['image_size'], budget['batch_size']) != (
            [loop.size] * 2,
            loop.batch_size,
        ):
            raise ProtocolError(
                f'--against {args.against}: images of {budget["image_size"]} in '
                f'batches of {budget["batch_size"]}, but the loop has {loop.size} x '
                f'{loop.size} and {loop.batch_size}.'
            )
        cfg.work_dir, cfg.launcher = folder, 'none'
        runner = build_runner(insert_and_check(cfg))
        times = _StepTimes(args.steps)
        runner.register_hook(times, priority='LOWEST')
        with contextlib.suppress(_Timed), quick_steps(runner):
            runner.train()
    return times.images_a_second
