"""What tools/pretrain_tiny_clip.py does: draw, train, pack, test, describe."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from mcdrl_common.atomic_write import atomic_write, write_text
from mcdrl_mmseg.clip.builtin import BUILTIN, pack
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec

from .captions import PROMPTS
from .scenes import PoolSettings, draw_pool, open_pool
from .trainer import PretrainingError, Settings, pretrain
from .zero_shot_table import Scores, score_clip, scores_table

WEIGHTS, SCORES = 'weights.safetensors', 'scores.json'

# Pools of the training and of the test; a pool's scenes are in no benchmark.
TRAIN_SEED, TEST_SEED = 1, 2
TEST_SCENES = 2000


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    default = Settings()
    parser = argparse.ArgumentParser(
        description='Train the built-in tiny CLIP on simulated scenes, or test it.',
        epilog='Example: python tools/pretrain_tiny_clip.py --work-dir work_dirs/clip '
        '(a killed training goes on when started again). '
        'python tools/pretrain_tiny_clip.py --test tests the built-in weights.',
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
        const=BUILTIN,
        help='only test weights: a file, or the built-in ones if none is named',
    )
    parser.add_argument('--steps', type=int, default=default.steps)
    parser.add_argument(
        '--batch-size', type=int, default=default.batch_size, metavar='SCENES'
    )
    parser.add_argument(
        '--scenes',
        type=int,
        default=24_000,
        help='how many are drawn, and used again and again (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=default.seed)
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--test-scenes', type=int, default=TEST_SCENES, help='default: %(default)s'
    )
    return parser


def run_tool(arguments: Sequence[str] | None = None) -> int:
    """Carry out what the command line asks for.

    Args:
        arguments: The command line; None for the process's.

    Returns:
        Exit code: 0, or 2 if it cannot be done.
    """
    args = make_parser().parse_args(arguments)
    settings = replace(
        Settings(), steps=args.steps, batch_size=args.batch_size, seed=args.seed
    )
    try:
        if args.test is not None:
            _test(CLIPSpec(settings.model_name, args.test), args.test_scenes)
            return 0
        weights = _train(settings, args)
        scores = _test(CLIPSpec(settings.model_name, str(weights)), args.test_scenes)
    except (PretrainingError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    write_text(args.work_dir / SCORES, json.dumps(scores.to_dict(), indent=1) + '\n')
    print(f'Weights {weights}\nScores  {args.work_dir / SCORES}')
    return 0


def _train(settings: Settings, args: argparse.Namespace) -> Path:
    started = time.monotonic()
    if args.scenes < settings.batch_size:
        raise PretrainingError(
            f'--scenes {args.scenes} must be at least --batch-size '
            f'{settings.batch_size}.'
        )
    pool = open_pool(
        PoolSettings(args.scenes, seed=TRAIN_SEED),
        args.work_dir / 'scenes',
        os.cpu_count() or 1,
        lambda done, total: print(f'{done}/{total} scenes drawn', flush=True),
    )
    model = pretrain(
        settings,
        pool,
        args.work_dir,
        args.device,
        lambda line: print(line, flush=True),
    )
    path = args.work_dir / WEIGHTS
    save_weights(model, settings, path)
    print(f'Trained in {(time.monotonic() - started) / 60:.0f} minutes.')
    return path


def save_weights(model: nn.Module, settings: Settings, path: Path) -> None:
    """Write weights as the package ships them.

    Args:
        model: open_clip's ``CLIP``.
        settings: How it was trained; kept in the file.
        path: The file.
    """
    state = pack(model.state_dict(), trained_ids(CLIPSpec(settings.model_name)))
    with atomic_write(path) as temporary:
        save_file(state, temporary, {'settings': json.dumps(settings.__dict__)})


def trained_ids(spec: CLIPSpec) -> set[int]:
    """Token ids that captions consist of.

    Args:
        spec: The model whose tokenizer is used.
    """
    healthy = [f'Normal mucosa with {name}' for name in PROMPTS.confounder_names]
    texts = [
        *PROMPTS.class_texts,
        *PROMPTS.confounder_texts,
        *PROMPTS.class_confounder_texts,
        *PROMPTS.background_prompts,
        *healthy,
        'mucus and blood',
    ]
    return set(tokenize(spec, texts).unique().tolist())


def _test(spec: CLIPSpec, count: int) -> Scores:
    pool = draw_pool(PoolSettings(count, seed=TEST_SEED))
    torch.manual_seed(0)
    scores = score_clip(spec, pool)
    print(scores_table(scores))
    return scores
