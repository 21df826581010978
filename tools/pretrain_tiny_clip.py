"""Train the built-in tiny CLIP on simulated endoscopic scenes, or test it."""

import sys

from mcdrl_lab.pretraining.pretrain_command import run_tool

if __name__ == '__main__':
    sys.exit(run_tool())
