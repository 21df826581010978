"""Train the built-in tiny CLIP on simulated endoscopic scenes, or test it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

SCORES = 'scores.json'

# mcdrl_mmseg.clip.builtin.BUILTIN, which cannot be imported without torch.
_BUILTIN = 'builtin'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab pretrain --work-dir work_dirs/clip; python -m '
        'mcdrl_lab pretrain --test. A killed training resumes when started again; '
        '--test without a file tests the built-in weights.'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/pretrain_tiny_clip'),
        help='folder for scenes, checkpoint, weights and scores (default: %(default)s)',
    )
    parser.add_argument(
        '--test',
        metavar='WEIGHTS',
        nargs='?',
        const=_BUILTIN,
        help='only test: a weights file, or the built-in weights if no file is given',
    )
    # Options without a value use the defaults of trainer.Settings.
    parser.add_argument('--steps', type=int, help='optimiser steps (default: 1200)')
    parser.add_argument(
        '--batch-size',
        type=int,
        metavar='SCENES',
        help='scenes per step (default: 192)',
    )
    parser.add_argument(
        '--scenes',
        type=int,
        default=24_000,
        help='number of scenes to draw; training reuses them (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, help='random seed (default: 0)')
    parser.add_argument(
        '--region-weight',
        type=float,
        metavar='WEIGHT',
        help='weight of the region loss, which compares every position with the '
        "classes from the scenes' masks, relative to the caption loss; 0 trains on "
        'captions alone (default: 0.5)',
    )
    parser.add_argument(
        '--device', default='cpu', help='torch device, e.g. cuda:0 (default: cpu)'
    )
    parser.add_argument(
        '--test-scenes',
        type=int,
        default=2000,
        help='number of scenes to test on (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> None:
    """Train or test, as the command line asks."""
    from mcdrl_common.atomic_write import write_text
    from mcdrl_mmseg.clip.towers import CLIPSpec

    from .tiny_clip import score_weights, train_clip
    from .trainer import Settings

    names = ('steps', 'batch_size', 'seed', 'region_weight')
    asked = {name: getattr(args, name) for name in names}
    settings = Settings(**{k: v for k, v in asked.items() if v is not None})
    if args.test is not None:
        score_weights(CLIPSpec(settings.model_name, args.test), args.test_scenes)
        return
    weights = train_clip(settings, args.scenes, args.work_dir, args.device)
    spec = CLIPSpec(settings.model_name, str(weights))
    scores = score_weights(spec, args.test_scenes)
    write_text(args.work_dir / SCORES, json.dumps(asdict(scores), indent=1) + '\n')
    print(f'Weights {weights}\nScores  {args.work_dir / SCORES}')
