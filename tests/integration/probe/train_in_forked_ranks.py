"""What ``torchrun --nproc-per-node=2`` does, with ranks that are forked.

Usage: train_in_forked_ranks.py MAX_RESTARTS TRAIN_PY [ARGUMENT...]. The agent is
torchrun's own; forked ranks need not import everything again.
"""

import runpy
import signal
import sys

from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def train(arguments):
    # The agent's own handler came along with the fork.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name='__main__')


def main():
    restarts, *arguments = sys.argv[1:]
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        max_restarts=int(restarts),
        monitor_interval=0.1,
        start_method='fork',
        rdzv_backend='c10d',
        rdzv_endpoint='localhost:0',
        run_id='faults',
    )
    elastic_launch(config, train)(arguments)


if __name__ == '__main__':
    main()
