"""Train and test the variants of an ablation plan, leaving one site out in turn."""

import argparse
from pathlib import Path

from mcdrl_lab.plans.ablation import load_ablation
from mcdrl_lab.plans.plan_command import add_plan_arguments, run_plan, run_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Plans are YAML files; see configs/ablation_plans.',
        epilog='Example: python tools/ablation.py configs/ablation_plans/modules.yml '
        '--seeds 3 --sites polypgen_c1 polypgen_c4',
    )
    parser.add_argument('plan', type=Path, help='ablation plan (YAML)')
    parser.add_argument('--config', help="config to use instead of the plan's own")
    add_plan_arguments(parser)
    return parser.parse_args()


def main() -> int:
    """Run the tool; returns its exit code."""
    args = parse_args()
    methods = load_ablation(args.plan, args.config)
    out = args.out or Path('work_dirs/ablation', args.plan.stem)
    return run_plan(methods, args, Path(__file__).parent, out)


if __name__ == '__main__':
    run_tool(main)
