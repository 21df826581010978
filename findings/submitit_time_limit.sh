#!/usr/bin/env bash
# submitit gives every Slurm job a limit of 5 minutes, and every local one 2 minutes.
#
# Expected: a job without timeout_min has the limit of its partition, as with sbatch, and a
#   local job has none.
# Happens: the batch file says "--time=5" (minutes) where nothing was asked for, and of 1,000
#   jobs in an array no more than 256 run at a time. A local job is told to end after 120 s.
# Versions: submitit 1.5.4. No Slurm is needed: two stand-ins for its commands keep the file.
# Why it matters: a short trial of a training run passes, and the full run meets the limit on the cluster. Set
#   timeout_min always.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: no --time line, no limit
#   one job: ['#SBATCH --time=5']
#   1000 jobs: ['#SBATCH --array=0-999%256', '#SBATCH --time=5']
#   local job: ended after 120 s
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check submitit==1.5.4
mkdir bin
printf '#!/bin/sh\nexit 0\n' > bin/srun
printf '#!/bin/sh\nfor last; do :; done\ncp "$last" "$KEPT"\necho Submitted batch job 1\n' > bin/sbatch
chmod +x bin/srun bin/sbatch
export KEPT="$work/kept.sh" PATH="$work/bin:$PATH"
venv/bin/python -W ignore - <<'PY'
import os

import submitit


def batch_lines(submit):
    executor = submitit.SlurmExecutor(folder='slurm')
    submit(executor)
    with open(os.environ['KEPT']) as file:
        lines = [line.strip() for line in file if line.startswith('#SBATCH')]
    return [line for line in lines if '--time' in line or '--array' in line]


def own_limit():
    return os.environ['SUBMITIT_LOCAL_TIMEOUT_S']


def many(executor):
    executor.map_array(abs, range(1000))


single = batch_lines(lambda executor: executor.submit(abs, -1))
array = batch_lines(many)
local = submitit.LocalExecutor(folder='local').submit(own_limit).result()
print('expected: no --time line, no limit')
print('one job:', single)
print('1000 jobs:', array)
print('local job: ended after', local, 's')
assert single == ['#SBATCH --time=5']
assert array == ['#SBATCH --array=0-999%256', '#SBATCH --time=5']
assert local == '120'
PY
