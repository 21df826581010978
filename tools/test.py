"""Test a checkpoint; the command line is that of MMSegmentation's tools/test.py."""

import argparse

import mcdrl_mmseg  # noqa: F401  (registers the components)
from mcdrl_mmseg.apis import build_runner, load_config
from mcdrl_mmseg.apis.arguments import add_run_arguments, parse_run_arguments
from mcdrl_mmseg.apis.config_check import check_config
from mcdrl_mmseg.apis.testing import draw_predictions, save_predictions, use_tta


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Example: python tools/test.py CONFIG work_dirs/try/best_mDice_fg.pth '
        '--show-dir overlays',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='folder for the predicted label maps, as PNG')
    parser.add_argument('--show', action='store_true', help='show predictions')
    parser.add_argument(
        '--show-dir', help='folder for overlays; they go to its vis_data/vis_image'
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds a shown image stays'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_run_arguments(parser)
    return parse_run_arguments(parser)


def main() -> None:
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    check_config(cfg, training=False)
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        draw_predictions(cfg, args.show, args.show_dir, args.wait_time)
    if args.tta:
        use_tta(cfg)
    if args.out:
        save_predictions(cfg, args.out)
    build_runner(cfg).test()


if __name__ == '__main__':
    main()
