"""What ``torchrun --nproc-per-node=2`` does, with ranks that are forked.

The agent is torchrun's own; forked ranks need not import everything again.
"""

import signal

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mcdrl_mmseg.apis.training import train_main


def train(arguments):
    # The agent's own handler came along with the fork.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    train_main(arguments)


def main(argv):
    restarts, *arguments = argv
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
    return 0
