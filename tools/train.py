"""Train a segmentor; the command line is that of MMSegmentation's tools/train.py."""

import argparse

import mcdrl_mmseg  # noqa: F401  (registers the components)
from mcdrl_mmseg.apis import build_runner, enable_amp, load_config
from mcdrl_mmseg.apis.arguments import add_run_arguments, parse_run_arguments
from mcdrl_mmseg.apis.config_check import check_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Example: python tools/train.py configs/mcdrl/mcdrl_clip-tiny-rn_'
        'segformer_5e_endoscopy-sites-128x128_heldout-polypgen-c1.py '
        '--work-dir work_dirs/try',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on from the latest checkpoint in the work folder',
    )
    parser.add_argument(
        '--amp', action='store_true', help='automatic mixed precision training'
    )
    add_run_arguments(parser)
    return parse_run_arguments(parser)


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    if args.amp:
        enable_amp(cfg)
    cfg.resume = args.resume
    check_config(cfg)
    build_runner(cfg).train()


if __name__ == '__main__':
    main()
