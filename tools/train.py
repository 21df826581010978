"""Train a segmentor; the command line is that of MMSegmentation's tools/train.py."""

import sys

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)
from mcdrl_common.training_arguments import train_parser

_STOPPED = 130  # exit code after Ctrl-C, as in shells


def main() -> int:
    # --help and a wrong option end here, before anything that takes long to import.
    train_parser().parse_args()
    from mcdrl_mmseg.apis.training import train_main

    try:
        return train_main()
    except KeyboardInterrupt:
        print(
            'train: stopped. To continue from the last checkpoint, run the same '
            'command with --resume.',
            file=sys.stderr,
        )
        return _STOPPED


if __name__ == '__main__':
    sys.exit(main())
