"""The calling process is one of its own, in which torch was never imported."""

import os
import subprocess
import sys
import textwrap

import pytest

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
import os, sys
from mcdrl_lab.errors import ProtocolError

def look(number):
    facts = os.path.basename(os.getcwd()), os.environ['TOLD'], os.environ['THREADS']
    return number, 'slow' in sys.modules, *facts

def refuse():
    raise ProtocolError('no such site')

def process():
    return os.getpid()
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere there is no fork server')
def test_a_function_is_called_where_its_imports_are_done(tmp_path):
    (tmp_path / 'below').mkdir()
    for name, text in dict(program=PROGRAM, work=WORK, slow='').items():
        (tmp_path / f'{name}.py').write_text(textwrap.dedent(text))
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, str(tmp_path / 'program.py')],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "(3, True, 'below', 'later', '2') False False",
        'no such site',
        # Where torch is there already nothing is gained by another process.
        'True',
    ], done.stderr
