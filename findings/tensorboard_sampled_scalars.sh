#!/usr/bin/env bash
# TensorBoard's reader returns a random quarter of a curve of 40,000 values.
#
# Expected: EventAccumulator(folder).Scalars('dice') has every value that was written.
# Happens: it keeps 10,000 per tag, drawn at random, and the last one. Of 40,000 iterations a quarter is
#   there; the best Dice, 0.875, is not, and the maximum of the curve is 0.5. No message. Up to
#   10,000 values all are there. size_guidance={'scalars': 0} keeps all; the class's help names the
#   parameter, not the number.
# Versions: TensorBoard 2.21.0, NumPy 2.4.6.
# Why it matters: curves of several seeds are often read in this way, for a table of best scores or the step of a peak.
#   Trials of some thousand iterations are read right, the long run is not.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected of 40,000 iterations: (40000, 0.875, 0)
#   happened: (10000, 0.5, 5)
#   of 10,000 iterations: (10000, 0.875, 0)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 tensorboard==2.21.0
venv/bin/python -W ignore - <<'PY'
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def read(count, **options):
    """Number of values, and the best one (0.875, at step 2345), and the first step."""
    folder = tempfile.mkdtemp()
    writer = EventFileWriter(folder)
    for step in range(count):
        value = Summary.Value(tag='dice', simple_value=0.875 if step == 2345 else 0.5)
        writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[value])))
    writer.close()
    events = EventAccumulator(folder, **options)
    events.Reload()
    scalars = events.Scalars('dice')
    return len(scalars), max(scalar.value for scalar in scalars), scalars[0].step


print('expected of 40,000 iterations:', read(40_000, size_guidance={'scalars': 0}))
print('happened:', read(40_000))
print('of 10,000 iterations:', read(10_000))
PY
