"""Child processes that run small functions, none of which needs torch."""

import json
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mcdrl_common.file_lock import FolderBusyError, folder_lock
from mcdrl_lab.plans.child_process import ChildProcess

LIMIT_S = 60

# What a process can find out about itself, and what it was given.
DESCRIBE = """
import json, multiprocessing, os, sys
def main(argv):
    print(json.dumps({
        'argv': argv,
        'sys.argv': sys.argv,
        'environment': dict(os.environ),
        'cwd': os.getcwd(),
        'leader': os.getsid(0) == os.getpgid(0) == os.getpid(),
        'stdin': sys.stdin.read(),
        'threads': len(os.listdir('/proc/self/task')),
        'workers': multiprocessing.get_start_method(),
    }))
    return 0
"""
SLEEP = 'import time\ndef main(argv):\n    time.sleep(600)'


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Makes a child from the text of a module with a function ``main``."""
    monkeypatch.syspath_prepend(tmp_path)
    number = iter(range(100))

    def child(text, *arguments, **options):
        name = f'program{next(number)}'
        (tmp_path / f'{name}.py').write_text(textwrap.dedent(text))
        log = tmp_path / f'{name}.log'
        made = ChildProcess(f'{name}:main', arguments, log=log, **options)
        made.log = log
        return made

    return child


def wait_for(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid):
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except FileNotFoundError:
        return False
    return state != 'Z'


def test_a_child_has_the_arguments_environment_and_session_of_a_new_program(
    child, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, 'NEW': '1'}
    process = child(DESCRIBE, '--a', 'b c', environment=environment).start()
    assert process.wait(LIMIT_S) == 0
    assert json.loads(process.log.read_text()) == {
        'argv': ['--a', 'b c'],
        'sys.argv': ['program0:main', '--a', 'b c'],
        'environment': environment,
        'cwd': str(tmp_path),
        'leader': True,
        'stdin': '',
        'threads': 1,
        'workers': 'fork',
    }
    assert 'NEW' not in os.environ


@pytest.mark.parametrize(
    ('text', 'code', 'said'),
    [
        ('return 0', 0, ''),
        ('return 3', 3, ''),
        ('raise SystemExit("no data")', 1, 'no data\n'),
        ('import os; os.kill(os.getpid(), 9)', -9, ''),
        ('import atexit; atexit.register(print, "at the end")', 0, 'at the end\n'),
        ('import os; os.write(1, b"1"); os.write(2, b"2")', 0, '12'),
    ],
)
def test_exit_code_and_output_are_those_of_the_function(child, text, code, said):
    process = child(f'def main(argv):\n    {text}').start()
    assert process.wait(LIMIT_S) == process.exitcode == code
    assert process.log.read_text() == said


def test_an_exception_ends_the_child_with_its_traceback_and_exit_code_1(child):
    process = child('def main(argv):\n    raise ValueError("the loss is nan")').start()
    assert process.wait(LIMIT_S) == 1
    assert process.log.read_text().endswith('ValueError: the loss is nan\n')


def test_waiting_has_a_time_limit_and_returns_the_signal_that_ended_the_child(child):
    process = child(SLEEP).start()
    assert process.wait(0.01) is None
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(LIMIT_S) == -signal.SIGTERM


def test_leaving_the_with_block_ends_the_child_and_its_own_children(child):
    text = """
    import subprocess, sys
    def main(argv):
        sleeper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(9)'])
        print(sleeper.pid, flush=True)
        sleeper.wait()
    """
    with child(text) as process:
        wait_for(lambda: process.log.exists() and process.log.read_text())
    assert process.exitcode == -signal.SIGTERM
    wait_for(lambda: not alive(int(process.log.read_text())))


@pytest.mark.skipif(sys.platform != 'linux', reason='looks into /proc')
@pytest.mark.parametrize(
    'ignores', ['', 'signal.signal(signal.SIGTERM, signal.SIG_IGN)']
)
def test_a_grandchild_in_a_session_of_its_own_ends_with_the_child(
    child, monkeypatch, ignores
):
    monkeypatch.setattr('mcdrl_lab.plans.child_process._GRACE_S', 0.1)
    text = f"""
    import signal, subprocess, sys
    def main(argv):
        {ignores}
        sleeper = subprocess.Popen(
            [sys.executable, '-c', 'import time; time.sleep(600)'],
            start_new_session=True,
        )
        print(sleeper.pid, flush=True)
        sleeper.wait()
    """
    with child(text) as process:
        wait_for(lambda: process.log.exists() and process.log.read_text())
    wait_for(lambda: not alive(int(process.log.read_text())))


def test_a_paused_child_is_still_ended_by_sigterm(child):
    with child(SLEEP, lock=None) as process:
        os.kill(process.pid, signal.SIGSTOP)
    # Not SIGKILL, which would follow only after the grace period.
    assert process.exitcode == -signal.SIGTERM


def test_a_child_that_ignores_sigterm_is_killed(child, monkeypatch):
    monkeypatch.setattr('mcdrl_lab.plans.child_process._GRACE_S', 0.1)
    text = """
    import signal, time
    def main(argv):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('ignores', flush=True)
        time.sleep(600)
    """
    with child(text) as process:
        wait_for(lambda: process.log.exists() and process.log.read_text())
    assert process.exitcode == -signal.SIGKILL


def test_a_child_locks_its_folder_while_it_runs(child, tmp_path):
    folder = tmp_path / 'run'
    with child(SLEEP, lock=folder) as process:
        holder = folder / '.lock-holder'
        # The file exists a moment before its content.
        wait_for(lambda: holder.exists() and holder.read_text())
        with pytest.raises(FolderBusyError, match=f'process {process.pid}$'):
            folder_lock(folder).__enter__()
    with folder_lock(folder):
        pass


def test_children_draw_different_random_numbers(child):
    draw = (
        'import numpy as np\ndef main(argv):\n    print(np.random.rand(), flush=True)'
    )
    processes = [child(draw).start() for _ in range(2)]
    assert [process.wait(LIMIT_S) for process in processes] == [0, 0]
    assert len({process.log.read_text() for process in processes}) == 2


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='has no fork server')
def test_modules_are_imported_once_before_any_child_starts(tmp_path):
    (tmp_path / 'slow_module.py').write_text(
        f"import os\nopen({str(tmp_path / 'imports')!r}, 'a')"
        ".write(os.environ['OMP_NUM_THREADS'])"
    )
    (tmp_path / 'program.py').write_text(
        'import slow_module\ndef main(argv):\n    return 0'
    )
    # In a new process, whose fork server has not been started.
    text = """
    import os
    from mcdrl_lab.plans.child_process import ChildProcess
    for threads in '12':
        environment = {**os.environ, 'OMP_NUM_THREADS': threads}
        child = ChildProcess(
            'program:main', [], environment=environment, preload=['slow_module']
        )
        assert child.start().wait() == 0
    """
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(tmp_path), *sys.path]),
    }
    subprocess.run(
        [sys.executable, '-c', textwrap.dedent(text)], env=environment, check=True
    )
    assert (tmp_path / 'imports').read_text() == '1'


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='has no fork server')
@pytest.mark.reliability('fault', 'the fork server killed')
def test_a_child_ends_if_its_fork_server_is_killed_and_the_next_one_starts(child):
    with child(SLEEP) as process:
        wait_for(process.log.exists)
        os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        assert process.wait(LIMIT_S) not in (0, None)
    wait_for(lambda: not alive(process.pid))
    assert child('def main(argv):\n    return 5').start().wait(LIMIT_S) == 5
