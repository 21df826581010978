"""Train the built-in CLIP of real endoscopy, or print its zero-shot table.

A killed training resumes when it is started again. With --test nothing is trained: the
command prints the table of the built-in weights, or of a file, with each score beside
its goal and the controls (centre prior, shuffled words).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mcdrl_lab.errors import ProtocolError, ends_in_one_line

WEIGHTS, SCORES = 'weights.safetensors', 'scores.json'

_PACK = Path('data/endoscopy_pretraining')
_SITES = Path('data/endoscopy_sites')
_PROMPTS = Path('configs/_base_/prompts')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        '--test',
        metavar='WEIGHTS',
        nargs='?',
        const='builtin',
        help='only test: a weights file, or the built-in weights if no file is given',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/pretrain_endo_clip'),
        help='folder for checkpoint, weights and scores (default: %(default)s)',
    )
    parser.add_argument(
        '--pretraining-root',
        type=Path,
        default=Path(os.environ.get('MCDRL_PRETRAINING_ROOT', _PACK)),
        help='folder of the pretraining pack (default: %(default)s)',
    )
    parser.add_argument(
        '--data-root',
        type=Path,
        default=Path(os.environ.get('MCDRL_DATA_ROOT', _SITES)),
        help='folder of the six sites (default: %(default)s)',
    )
    _add_test_arguments(parser)
    _add_training_arguments(parser)
    parser.add_argument(
        '--text-tower',
        choices=('sentence', 'transformer'),
        default='sentence',
        help='text encoder to train or test: sentence, a frozen sentence encoder with '
        'a trained projection (the built-in weights), or transformer, a small '
        "transformer with open_clip's tokenizer trained from scratch, as a control "
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--device', default='cpu', help='torch device, e.g. cuda:0 (default: cpu)'
    )
    parser.add_argument(
        '--threads',
        type=int,
        help="number of torch threads (default: torch's own choice)",
    )


def _add_test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--part',
        choices=('choose', 'held_out'),
        default='held_out',
        help='part of the pretraining pack to test on; choose options on "choose", '
        'which uses no site (default: %(default)s)',
    )
    parser.add_argument(
        '--image-size',
        type=int,
        default=224,
        help='height and width in pixels of test images at the tower (default: '
        '%(default)s)',
    )
    parser.add_argument(
        '--output-stride',
        type=int,
        default=32,
        choices=(8, 16, 32),
        help='output stride of the dense feature map in the test (default: '
        '%(default)s)',
    )
    parser.add_argument(
        '--per-site',
        type=int,
        default=60,
        help='largest number of images per site to draw conditions on (default: '
        '%(default)s)',
    )


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--imagenet',
        type=Path,
        help='file of the initial weights (default: the one of the installed package)',
    )
    parser.add_argument('--steps', type=int, help='optimiser steps (default: 320)')
    parser.add_argument('--batch-size', type=int, help='images per step (default: 48)')
    parser.add_argument(
        '--learning-rate',
        type=float,
        help='peak learning rate of the projections, not of the tower (default: 0.001)',
    )
    parser.add_argument(
        '--region-weight',
        type=float,
        help='weight of the text-region losses relative to the caption loss; 0 trains '
        'on captions alone, as a control (default: 1)',
    )
    parser.add_argument('--seed', type=int, help='random seed (default: 0)')
    parser.add_argument(
        '--without',
        metavar='DATASETS',
        help='data sets to leave out, separated by commas, e.g. kvasir_seg',
    )


@ends_in_one_line
def run(args: argparse.Namespace) -> None:
    """Carry out what the command line asks for.

    Raises:
        ProtocolError: Files that are missing or do not fit.
    """
    import torch

    import mcdrl_mmseg  # noqa: F401  (makes torchvision importable)

    if args.test:
        _check_work_dir(args.work_dir, args.test)
    _check_scores(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    weights = args.test or str(_train(args))
    _test(args, weights)


def _check_work_dir(folder: Path, weights: str) -> None:
    """Refuse to put scores of other weights beside those of a training."""
    trained = folder / WEIGHTS
    if not trained.is_file():
        return
    if not Path(weights).is_file() or not trained.samefile(weights):
        raise ProtocolError(
            f'{folder} holds a training, and --test {weights} would replace its '
            f'{SCORES}. Choose another --work-dir.'
        )


def _check_scores(args: argparse.Namespace) -> None:
    """Refuse to replace scores of other weights or of another test."""
    from mcdrl_common.written_files import WrittenFiles

    path = args.work_dir / SCORES
    if path.exists() and WrittenFiles(args.work_dir).made_of(path) != _made_of(args):
        raise ProtocolError(
            f'{path} would be replaced: it is from other weights or another test '
            '(data, part, image size, output stride, images per site), or its origin '
            'is not recorded. Choose another --work-dir, or move it away.'
        )


def _made_of(args: argparse.Namespace) -> tuple[str, ...]:
    """What identifies a table of scores."""
    from mcdrl_common.written_files import places

    weights = args.test or str(args.work_dir / WEIGHTS)
    file = places(weights) if Path(weights).is_file() or not args.test else [weights]
    data = places(args.pretraining_root, args.data_root)
    how = ('text_tower', 'part', 'image_size', 'output_stride', 'per_site')
    options = [f'{name}={getattr(args, name)}' for name in how]
    return ('pretrain-endo', *file, *data, *options)


def _train(args: argparse.Namespace) -> Path:
    import time
    from dataclasses import replace

    from mmengine.config import Config

    from mcdrl_mmseg.prompts import PromptSet

    from .endo_model import imagenet_file
    from .endo_pack import TRAIN, load_pack
    from .endo_trainer import TEXT_TOWERS, EndoSettings, data_sets, pretrain_endo
    from .endo_weights import PROMPT_FILES, save_endo_weights

    named = (
        'steps',
        'batch_size',
        'learning_rate',
        'region_weight',
        'seed',
        'without',
    )
    given = {name: getattr(args, name) for name in named}
    settings = replace(
        EndoSettings(TEXT_TOWERS[args.text_tower]),
        **{k: v for k, v in given.items() if v is not None},
    )
    started = time.monotonic()
    model = pretrain_endo(
        settings,
        load_pack(args.pretraining_root, TRAIN, data_sets(settings.without)),
        args.imagenet or imagenet_file(),
        args.work_dir,
        args.device,
        lambda line: print(line, flush=True),
    )
    prompt_sets = [
        PromptSet.from_cfg(Config.fromfile(_PROMPTS / name).prompts)
        for name in PROMPT_FILES
    ]
    path = args.work_dir / WEIGHTS
    save_endo_weights(model, settings, prompt_sets, path)
    minutes = (time.monotonic() - started) / 60
    print(f'Trained in {minutes:.0f} minutes. Weights: {path}')
    return path


def _test(args: argparse.Namespace, weights: str) -> None:
    import json
    from dataclasses import asdict

    import torch

    from mcdrl_common.atomic_write import write_text
    from mcdrl_common.written_files import WrittenFiles
    from mcdrl_mmseg.clip import (
        CLIPSpec,
        build_image_tower,
        embed_texts,
        load_tower_weights,
        set_output_stride,
    )
    from mcdrl_mmseg.clip.weights import resolve_weights_file

    from .endo_pack import CHOOSE, HELD_OUT, load_pack
    from .endo_report import scores_tables
    from .endo_scores import SITES, load_site, score_endo
    from .endo_trainer import TEXT_TOWERS
    from .endo_weights import left_out

    spec = CLIPSpec(TEXT_TOWERS[args.text_tower], weights)
    tower = build_image_tower(spec)
    load_tower_weights(tower, spec, 'visual.')
    set_output_stride(tower, args.output_stride)
    tower = tower.eval().to(memory_format=torch.channels_last)
    choosing = args.part == CHOOSE
    # Choosing options must not use images or words of the final test.
    names = () if choosing else SITES
    scores = score_endo(
        tower,
        lambda texts: embed_texts(spec, texts),
        load_pack(args.pretraining_root, CHOOSE if choosing else HELD_OUT),
        {name: load_site(args.data_root, name) for name in names},
        args.image_size,
        args.per_site,
        words='choosing' if choosing else 'unseen',
        without=left_out(resolve_weights_file(weights, spec.model_name)),
        log=lambda line: print(line, flush=True),
    )
    print(scores_tables(scores))
    path = args.work_dir / SCORES
    write_text(path, json.dumps(asdict(scores), indent=1) + '\n')
    WrittenFiles(args.work_dir).add(path, _made_of(args))
    print(f'Scores {path}')
