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
        'mcdrl_lab pretrain --test. A killed training goes on when started again; '
        '--test alone tests the built-in weights.'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/pretrain_tiny_clip'),
        help='scenes, checkpoint, weights and scores go there (default: %(default)s)',
    )
    parser.add_argument(
        '--test',
        metavar='WEIGHTS',
        nargs='?',
        const=_BUILTIN,
        help='only test weights: a file, or the built-in ones if none is named',
    )
    # Options without a value use the defaults of trainer.Settings.
    parser.add_argument('--steps', type=int)
    parser.add_argument('--batch-size', type=int, metavar='SCENES')
    parser.add_argument(
        '--scenes',
        type=int,
        default=24_000,
        help='how many are drawn, and used again and again (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int)
    parser.add_argument(
        '--region-weight',
        type=float,
        metavar='WEIGHT',
        help='of the loss that compares every position with the classes by the '
        "scenes' masks; 0 leaves captions alone",
    )
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--test-scenes', type=int, default=2000, help='default: %(default)s'
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
