"""Each calling process is a new one, in which torch was never imported."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

from mcdrl_lab.plans.child_process import running_processes

PROGRAM = """
import os, sys
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.borrowed_imports import call_with_imports
import work

if __name__ == '__main__':
    os.chdir('below')
    os.environ['TOLD'] = 'later'
    options = dict(preload=['slow'], environment={**os.environ, 'THREADS': '2'})
    seen = call_with_imports(work.look, 3, **options)
    print(seen, 'slow' in sys.modules, 'THREADS' in os.environ)
    try:
        call_with_imports(work.refuse, **options)
    except ProtocolError as error:
        print(error)
    sys.modules['torch'] = None
    print(call_with_imports(work.process, **options) == os.getpid())
"""
WORK = """
import os, sys, time
from mcdrl_lab.errors import ProtocolError

def look(number):
    facts = os.path.basename(os.getcwd()), os.environ['TOLD'], os.environ['THREADS']
    return number, 'slow' in sys.modules, *facts

def refuse():
    raise ProtocolError('no such site')

def process():
    return os.getpid()

def stay():
    print(os.getpid(), flush=True)
    time.sleep(300)
"""
KILLED = """
import os
from mcdrl_lab.plans.borrowed_imports import call_with_imports
import work

if __name__ == '__main__':
    call_with_imports(work.stay, preload=['slow'], environment=dict(os.environ))
"""


def environment(folder, program):
    """Write the modules and return an environment in which Python finds them."""
    for name, text in dict(program=program, work=WORK, slow='').items():
        (folder / f'{name}.py').write_text(textwrap.dedent(text))
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return {**os.environ, 'PYTHONPATH': paths}


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere there is no fork server')
def test_a_function_is_called_in_a_process_that_has_its_imports(tmp_path):
    (tmp_path / 'below').mkdir()
    done = subprocess.run(
        [sys.executable, str(tmp_path / 'program.py')],
        cwd=tmp_path,
        env=environment(tmp_path, PROGRAM),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "(3, True, 'below', 'later', '2') False False",
        'no such site',
        # If torch is already imported, another process would gain nothing.
        'True',
    ], done.stderr


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere there is no fork server')
def test_a_killed_command_leaves_no_process_behind(tmp_path):
    command = subprocess.Popen(
        [sys.executable, str(tmp_path / 'program.py')],
        env=environment(tmp_path, KILLED),
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(command.stdout.readline())
    started = {process for process in running_processes() if process.pid == pid}
    assert started
    command.kill()
    command.wait()
    end = time.monotonic() + 60
    while started & running_processes():
        assert time.monotonic() < end
        time.sleep(0.05)
    # The fork server held the pipe too.
    assert command.stdout.read() == ''
