"""The fork server with small programs, none of which needs torch."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mcdrl_lab.plans.forking import ForkServer, ForkServerError, can_fork, client

pytestmark = pytest.mark.skipif(not can_fork(), reason='Linux only')
LIMIT_S = 60

# What a process can find out about itself, and what it was given.
DESCRIBE = """
import json, os, sys
names = ('argv', 'orig_argv', 'path')
print(json.dumps({
    **{name: getattr(sys, name) for name in names},
    'name': __name__,
    'environment': dict(os.environ),
    'cwd': os.getcwd(),
    'leader': os.getsid(0) == os.getpgid(0) == os.getpid(),
    'stdin': sys.stdin.read(),
    'tty': sys.stdout.isatty(),
    'threads': len(os.listdir('/proc/self/task')),
    'held': int(os.environ['HELD']) in map(int, os.listdir('/proc/self/fd')),
}))
"""


@pytest.fixture
def server():
    server = ForkServer(['json'], os.environ)
    yield server
    server.close()


@pytest.fixture
def start(server, tmp_path):
    """Starts a program given by its text; the process has its output in ``log``."""
    held = os.open(tmp_path / 'held', os.O_CREAT | os.O_RDWR)
    number = iter(range(100))

    def start(text, *arguments, **environment):
        program = tmp_path / f'program{next(number)}.py'
        program.write_text(textwrap.dedent(text))
        log = program.with_suffix('.log')
        with open(log, 'ab') as output:
            process = server.start(
                [str(program), *arguments], output, held, {**os.environ, **environment}
            )
        process.log = log
        return process

    yield start
    os.close(held)


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


def test_a_child_is_as_a_process_started_on_its_own(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path / 'more'))
    # Set after the server was started: a child has what it is given.
    with open(tmp_path / 'plain.log', 'wb') as output:
        program = tmp_path / 'program0.py'
        program.write_text(DESCRIBE)
        held = os.open(tmp_path / 'held', os.O_RDONLY)
        subprocess.run(
            [sys.executable, str(program), '--a', 'b c'],
            stdin=subprocess.DEVNULL,
            stdout=output,
            start_new_session=True,
            pass_fds=(held,),
            env={**os.environ, 'NEW': '1', 'HELD': str(held)},
            check=True,
        )
        os.close(held)
    plain = json.loads((tmp_path / 'plain.log').read_text())
    monkeypatch.delenv('PYTHONPATH')
    forked = start(DESCRIBE, '--a', 'b c', NEW='1', HELD='0')
    assert forked.wait(LIMIT_S) == 0
    forked = json.loads(forked.log.read_text())
    assert plain['environment'].pop('PYTHONPATH') in plain['path']
    plain['path'].remove(str(tmp_path / 'more'))
    for described in (plain, forked):
        del described['environment']['HELD']
        described['held'] = True
    assert forked == plain
    assert forked['leader'] and forked['threads'] == 1


def test_a_child_holds_the_file_open_and_the_server_does_not(start, server, tmp_path):
    process = start('import sys, time; time.sleep(600)')
    held = str(tmp_path / 'held')

    def holds(pid):
        files = Path(f'/proc/{pid}/fd').iterdir()
        return held in [os.path.realpath(file) for file in files]

    assert holds(process.pid)
    assert not holds(server.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(LIMIT_S)


@pytest.mark.parametrize(
    ('text', 'code', 'said'),
    [
        ('', 0, ''),
        ('raise SystemExit(3)', 3, ''),
        ('raise SystemExit("no data")', 1, 'no data\n'),
        ('import sys; print(1); print(2, file=sys.stderr)', 0, None),
        ('import os; os.kill(os.getpid(), 9)', -9, ''),
        ('import atexit; atexit.register(print, "at the end")', 0, 'at the end\n'),
    ],
)
def test_the_end_of_a_child_is_passed_on(start, text, code, said):
    process = start(text)
    assert process.wait(LIMIT_S) == process.wait() == process.returncode == code
    if said is None:
        assert sorted(process.log.read_text().split()) == ['1', '2']
    else:
        assert process.log.read_text() == said


def test_an_exception_ends_in_its_traceback_and_code_1(start):
    process = start('raise ValueError("the loss is nan")')
    assert process.wait(LIMIT_S) == 1
    assert process.log.read_text().endswith('ValueError: the loss is nan\n')


def test_waiting_has_a_limit_and_a_stopped_child_is_told(start):
    process = start('import time; time.sleep(600)')
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.returncode is None
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(LIMIT_S) == -signal.SIGTERM


def test_children_run_side_by_side_and_end_in_any_order(start, tmp_path):
    wait = f"""
    import os, sys, time
    while not os.path.exists({str(tmp_path)!r} + '/' + sys.argv[1]):
        time.sleep(0.01)
    raise SystemExit(int(sys.argv[2]))
    """
    first, second = start(wait, 'a', '4'), start(wait, 'b', '5')
    (tmp_path / 'b').touch()
    assert second.wait(LIMIT_S) == 5
    assert first.returncode is None and alive(first.pid)
    (tmp_path / 'a').touch()
    assert first.wait(LIMIT_S) == 4


def test_what_one_child_changes_no_other_sees(start):
    change = "import json, os; json.seen = True; os.environ['SEEN'] = '1'"
    assert start(change).wait(LIMIT_S) == 0
    look = (
        "import json, os; assert not hasattr(json, 'seen') and 'SEEN' not in os.environ"
    )
    assert start(look).wait(LIMIT_S) == 0


def test_modules_are_imported_once_and_before_the_children(tmp_path):
    (tmp_path / 'slow_module.py').write_text(
        f"open({str(tmp_path / 'imports')!r}, 'a').write('x')"
    )
    (tmp_path / 'broken_module.py').write_text("raise ImportError('no GPU driver')")
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    server = ForkServer(['broken_module', 'slow_module'], environment)
    program = tmp_path / 'program.py'
    program.write_text('import slow_module')
    with open(tmp_path / 'log', 'wb') as output:
        for _ in range(2):
            process = server.start([str(program)], output, output.fileno(), environment)
            assert process.wait(LIMIT_S) == 0
        program.write_text('import broken_module')
        process = server.start([str(program)], output, output.fileno(), environment)
        assert process.wait(LIMIT_S) == 1
    server.close()
    assert (tmp_path / 'imports').read_text() == 'x'
    assert 'ImportError: no GPU driver' in (tmp_path / 'log').read_text()


def test_a_killed_server_takes_its_children_along_and_starts_no_more(start, server):
    process = start('import time; time.sleep(600)')
    os.kill(server.pid, signal.SIGKILL)
    assert process.wait(LIMIT_S) == -signal.SIGKILL
    wait_for(lambda: not alive(process.pid))
    with pytest.raises(ForkServerError):
        start('')


def test_the_server_ends_with_its_parent_and_its_children_go_on(tmp_path):
    parent = f"""
    import os, sys, time
    # Without the package, which takes long to import.
    sys.path.insert(0, {str(Path(client.__file__).parent)!r})
    from client import ForkServer
    server = ForkServer(['json'], os.environ)
    with open({str(tmp_path / 'log')!r}, 'wb') as output:
        process = server.start([{str(tmp_path / 'child.py')!r}], output, 0, os.environ)
    print(server.pid, process.pid, flush=True)
    time.sleep(600)
    """
    (tmp_path / 'child.py').write_text(
        f'import os, time\nwhile not os.path.exists({str(tmp_path / "go")!r}):\n'
        "    time.sleep(0.01)\nprint('done')"
    )
    with subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(parent)], stdout=subprocess.PIPE
    ) as process:
        server, child = map(int, process.stdout.readline().split())
        process.kill()
    wait_for(lambda: not alive(server))
    assert alive(child)
    (tmp_path / 'go').touch()
    wait_for(lambda: not alive(child))
    assert (tmp_path / 'log').read_text() == 'done\n'
