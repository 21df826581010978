import errno
import os
import subprocess
import sys

import pytest

from mcdrl_lab import commands
from mcdrl_lab.commands import COMMANDS, main

# Slow to import, and not needed for the help of a command.
HEAVY = {
    'cv2',
    'matplotlib',
    'mcdrl_mmseg',
    'mmcv',
    'mmengine',
    'mmseg',
    'numpy',
    'open_clip',
    'pandas',
    'scipy',
    'sklearn',
    'statsmodels',
    'torch',
}

SHOW_LOADED = """
import sys
from mcdrl_lab.commands import main
try:
    main([{name!r}, '--help'])
except SystemExit as end:
    assert not end.code, end.code
print('LOADED', *sorted({{name.partition('.')[0] for name in sys.modules}}))
"""


@pytest.mark.parametrize('name', COMMANDS)
def test_help_of_a_command_imports_no_slow_package(name, repo_root):
    code = SHOW_LOADED.format(name=name)
    run = subprocess.run(
        [sys.executable, '-c', code], cwd=repo_root, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert f'python -m mcdrl_lab {name}' in run.stdout
    loaded = set(run.stdout.rpartition('LOADED ')[2].split())
    assert loaded & HEAVY == set()


def test_the_list_of_commands_shows_the_summary_of_each(capsys):
    with pytest.raises(SystemExit) as end:
        main(['--help'])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f'{name} ' in shown
        assert command.summary in shown


def test_an_unknown_command_is_refused_and_the_known_ones_are_listed(capsys):
    with pytest.raises(SystemExit) as end:
        main(['compair'])
    assert end.value.code == 2
    assert 'compare' in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch, capsys
):
    def fail(name):
        raise ModuleNotFoundError(f'No module named {name!r}', name='pandas')

    monkeypatch.setattr(commands.importlib, 'import_module', fail)
    assert main(['compare']) == 2
    assert capsys.readouterr().err == (
        "compare: pandas is not installed: pip install 'mcdrl-mmseg[lab]'\n"
    )


def test_a_missing_module_of_the_lab_itself_keeps_its_traceback(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError(f'No module named {name!r}', name='mcdrl_lab.none')

    monkeypatch.setattr(commands.importlib, 'import_module', fail)
    with pytest.raises(ModuleNotFoundError):
        main(['compare'])


@pytest.mark.reliability('fault', 'disk full or read-only while a command writes')
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_is_reported_in_one_line_that_names_the_file(
    monkeypatch, capsys, tmp_path, two_methods, code
):
    from mcdrl_common import atomic_write
    from mcdrl_lab.plans.records import append_record

    for record in two_methods:
        append_record(tmp_path / 'records.jsonl', record)

    def fails(path, flags):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic_write, '_sync', fails)
    out = tmp_path / 'out'
    arguments = ['compare', str(tmp_path), 'a', 'b', '--out', str(out)]
    assert main(arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f'compare: {out}/')
    assert last.endswith(f': {os.strerror(code)}')
    assert [path for path in out.iterdir() if path.is_file()] == []


@pytest.mark.parametrize(
    ('arguments', 'name'),
    [
        (['selection', 'CONFIG', '--out'], 'out.csv'),
        (['simulate'], 'out'),
        (['leave-one-site-out', 'CONFIG', '--out'], 'out'),
        (['invariance', 'PLAN', '--data', 'DATA', '--out'], 'out.jsonl'),
    ],
)
def test_an_unwritable_output_path_is_refused_before_any_input_is_read(
    tmp_path, capsys, arguments, name
):
    (tmp_path / 'file').touch()
    out = tmp_path / 'file/below' / name
    assert main([*arguments, str(out)]) == 2
    assert capsys.readouterr().err == (
        f'error: {out}: could not be written: {tmp_path / "file"} is not a folder. '
        'Choose another place.\n'
    )


# Every command that writes one file of a fixed format.
@pytest.mark.parametrize(
    ('words', 'name', 'ending'),
    [
        ('selection CONFIG', 'x.json', '.csv'),
        ('report RECORDS', 'x.md', '.html or .htm'),
        ('evidence keep PLAN', 'x.jsonl', '.jsonl.gz'),
        ('presence RECORDS', 'x.csv', '.json'),
        ('conformal RECORDS', 'x', '.json'),
        ('invariance PLAN --data DATA', 'x.json', '.jsonl'),
        ('latency PLAN', 'x.json', '.jsonl'),
        ('calibrate CHECKPOINT', 'x.json', '.pth or .pt'),
        ('site-reference CONFIG CHECKPOINT', 'x.json', '.pth or .pt'),
        ('scaling CONFIG', 'x.jsonl', '.json'),
        ('plain-loop SITE --against CONFIG', 'x.csv', '.json'),
        (
            'compare-exported CHECKPOINT FILE --images IMAGES --masks MASKS',
            'x.csv',
            '.json',
        ),
    ],
)
def test_an_output_name_with_the_ending_of_another_format_is_refused(
    capsys, words, name, ending
):
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), '--out', name])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(
        f"argument --out: '{name}': the name must end in {ending}, the format of the "
        'file.'
    )


# Every command that writes a folder of results.
@pytest.mark.parametrize(
    ('words', 'name'),
    [
        ('compare RECORDS A B --out', 'x.md'),
        ('benchmark CONFIG --out', 'x.JSON'),
        ('site-check CHECKPOINT IMAGES --out', 'x.html'),
        ('leave-one-site-out CONFIG --out', 'x.csv'),
        ('ablation PLAN --out', 'x.csv'),
        ('plan-merge PLAN PLAN --out', 'x.jsonl'),
        ('new-project DATA --out', 'x.md'),
        ('convert folder SOURCE --out', 'x.json'),
        ('simulate', 'x.zip'),
        ('simulate OUT --pictures', 'x.png'),
        ('crop-pairs DATA', 'x.zip'),
        ('draw-conditions DATA --held-out SITE', 'x.md'),
    ],
)
def test_a_file_name_for_a_folder_of_results_is_refused(
    tmp_path, monkeypatch, capsys, words, name
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), name])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(
        f": '{name}': this command writes several files to a folder. "
        f'Name one whose name does not end in {name[1:]}.'
    )


def test_an_os_error_without_a_file_name_keeps_its_traceback(monkeypatch):
    def run(name, arguments):
        raise OSError(errno.EIO, 'x')

    monkeypatch.setattr(commands, '_run', run)
    with pytest.raises(OSError, match='x'):
        main(['compare'])


def test_an_interrupted_command_ends_with_one_line_and_code_130(monkeypatch, capsys):
    def interrupted(name, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, '_run', interrupted)
    assert main(['compare', 'a', 'b']) == 130
    assert capsys.readouterr().err == 'compare: stopped.\n'


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['scaling', 'gone.py'], "config 'gone.py' is not a file"),
        (['clip-architectures', 'gone'], "'gone' is not an open_clip architecture"),
        (
            ['compare-exported', 'gone.pth', 'a.onnx', '--images', 'a', '--masks', 'b'],
            'no image in a has a mask',
        ),
        (['pretrain', '--test', 'gone.pt'], "'gone.pt' is neither an existing file"),
    ],
)
def test_missing_input_ends_with_a_one_line_error_before_any_work(
    arguments, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mcdrl_lab.simulation.drawing.draw', None)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ')
    assert told in line


PRINT_AND_END = """
import sys
from mcdrl_lab import commands
def run(name, arguments):
    print({printed})
    if name == 'verify':
        raise BrokenPipeError(32, 'of a worker')
commands._run = run
sys.exit(commands.main({arguments}))
"""


# The long text exceeds Python's buffer, so that print itself fails.
@pytest.mark.parametrize('printed', ["'x'", "'x' * 100_000"])
def test_a_command_ends_quietly_when_its_reader_closes_the_pipe(repo_root, printed):
    """Its exit code is 141, as of a program that SIGPIPE ended."""
    code = PRINT_AND_END.format(printed=printed, arguments=['compare'])
    read, write = os.pipe()
    os.close(read)
    try:
        run = subprocess.run(
            [sys.executable, '-c', code],
            cwd=repo_root,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(write)
    assert (run.returncode, run.stderr) == (141, '')


def test_a_broken_pipe_other_than_standard_output_keeps_its_traceback(repo_root):
    code = PRINT_AND_END.format(printed="'x'", arguments=['verify'])
    run = subprocess.run(
        [sys.executable, '-c', code], cwd=repo_root, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert 'BrokenPipeError: [Errno 32] of a worker' in run.stderr
    assert run.stdout.startswith('x\n')
