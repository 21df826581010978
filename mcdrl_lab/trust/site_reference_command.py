"""Add statistics of the training sites to a checkpoint that has none.

Checkpoints of configs with SiteReferenceHook already have them. CLIP's tower runs over
the training images of the config. Only statistics are stored, such as quantiles, means
and standard deviations, and no images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mcdrl_lab.checkpoint_meta import write_with_meta
from mcdrl_lab.errors import errors_in_one_line
from mcdrl_lab.shared_arguments import (
    CHECKPOINTS,
    add_cfg_options,
    add_device,
    file_name,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = (
        'Example: python -m mcdrl_lab site-reference CONFIG best.pth --out '
        'best_with_sites.pth'
    )
    parser.add_argument('config', help='config file of the training')
    parser.add_argument('checkpoint', type=Path, help='checkpoint file')
    parser.add_argument(
        '--out',
        type=file_name(*CHECKPOINTS),
        help='checkpoint file to write (default: NAME_sites.pth beside the checkpoint)',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the file of an earlier run'
    )
    parser.add_argument(
        '--images-per-site',
        type=int,
        default=128,
        help='training images per site to use (default: 128)',
    )
    add_device(parser)
    add_cfg_options(parser)


@errors_in_one_line(ValueError, FileNotFoundError)
def run(args: argparse.Namespace) -> int:
    """Write the checkpoint."""
    from mmseg.registry import DATASETS

    from mcdrl_common.config_datasets import site_names
    from mcdrl_common.site_reference import META_KEY, MIN_IMAGES
    from mcdrl_common.written_files import check_targets
    from mcdrl_lab.errors import ProtocolError
    from mcdrl_mmseg.apis import load_config
    from mcdrl_mmseg.apis.checkpoint import load_segmentor
    from mcdrl_mmseg.engine.training_reference import training_reference

    checkpoint: Path = args.checkpoint
    out: Path = args.out or checkpoint.with_name(f'{checkpoint.stem}_sites.pth')
    if args.images_per_site < MIN_IMAGES:
        raise ProtocolError(
            f'--images-per-site {args.images_per_site} must be at least {MIN_IMAGES}.'
        )
    inputs = [checkpoint, Path(args.config)]
    check_targets(out.parent, [out], inputs, args.overwrite)
    cfg = load_config(args.config, args.cfg_options)
    model = load_segmentor(checkpoint, cfg, args.device)
    loader = cfg.get('train_dataloader')
    if not loader:
        raise ProtocolError(f'{args.config} has no train_dataloader.')
    trained, named = model.trained_sites, site_names(loader)
    if trained.names and set(named) != set(trained.names):
        fold = f'; MCDRL_HELD_OUT={trained.held_out}' if trained.held_out else ''
        raise ProtocolError(
            f'{args.config} trains on {", ".join(named) or "no named site"}, but '
            f'{checkpoint} was trained on {", ".join(trained.names)}: use the config '
            f'of its training{fold + " chooses its fold" if fold else ""}.'
        )
    dataset = DATASETS.build(loader.dataset)
    reference = training_reference(model, dataset, cfg, args.images_per_site)
    write_with_meta(checkpoint, out, META_KEY, reference.to_text())
    print(
        f'{out}: statistics of {int(reference.counts.sum())} images of '
        f'{", ".join(reference.sites)}'
    )
    return 0
