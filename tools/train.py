"""Train a segmentor; the command line is that of MMSegmentation's tools/train.py."""

import sys

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)
from mcdrl_common.training_arguments import train_parser


def main() -> int:
    # --help and a wrong option end here, before anything that takes long to import.
    train_parser().parse_args()
    from mcdrl_mmseg.apis.training import train_main

    return train_main()


if __name__ == '__main__':
    sys.exit(main())
