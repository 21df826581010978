import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')

# Works for half a second with 100 MB, in a process that outlives its parent.
WORKER = """
import time
held = b'x' * 10**8
while time.process_time() < 0.5:
    pass
time.sleep(1.5)
"""
PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', {WORKER!r}], start_new_session=True)
time.sleep(2.0)
sys.exit(3)
"""
COST = r'([\d.]+) s on the cores, ([\d.]+) s of wall time, at most (\d+) MB at a time'


def command_cost(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'mcdrl_lab', 'command-cost', *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_processes_that_a_command_leaves_behind_are_counted():
    done = command_cost(sys.executable, '-c', PARENT)
    assert done.returncode == 3
    processor, wall, peak = map(float, re.fullmatch(COST, done.stdout.strip()).groups())
    assert processor >= 0.5
    assert wall >= 2.0
    assert 100 <= peak < 200


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'error: give a command to run'),
        (['no-such-program'], 'error: no-such-program: No such file or directory.'),
    ],
)
def test_an_unusable_command_ends_with_a_one_line_error(arguments, message):
    done = command_cost(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message) and len(done.stderr.splitlines()) == 1
