import json
import runpy
import sys
import zipfile

import pytest

from mcdrl_lab.data.converters.convert_command import run_tool
from mcdrl_lab.data.converters.sources.kvasir_seg import KVASIR_SEG
from mcdrl_lab.data.converters.sources.polypgen import POLYPGEN

TOOLS = (
    'bm_broncholc',
    'coco',
    'cvc_clinicdb',
    'endotect',
    'etis_larib',
    'folder',
    'kvasir_seg',
    'laryngoscope8',
    'polypgen',
    'vocal_folds',
)


@pytest.fixture
def kvasir(make):
    for name in 'ab':
        make.pair(f'Kvasir-SEG/images/{name}.jpg', f'Kvasir-SEG/masks/{name}.jpg')


def test_a_good_data_set_ends_with_0_and_says_what_was_checked(
    kvasir, download, out, capsys
):
    assert run_tool(KVASIR_SEG, [str(download), '--out', str(out)]) == 0
    shown = capsys.readouterr().out
    assert 'kvasir_seg: written: 2 pairs' in shown
    assert 'never against the archive itself' in shown
    assert run_tool(KVASIR_SEG, [str(download), '--out', str(out)]) == 0
    assert 'kvasir_seg: up to date' in capsys.readouterr().out


def test_refused_data_end_with_1_and_skip_bad_with_0(
    kvasir, make, download, out, capsys
):
    make.image('Kvasir-SEG/images/c.jpg')
    assert run_tool(KVASIR_SEG, [str(download), '--out', str(out)]) == 1
    shown = capsys.readouterr().err
    assert 'missing mask: Kvasir-SEG/images/c.jpg' in shown
    assert 'nothing written' in shown
    arguments = [str(download), '--out', str(out), '--skip-bad']
    assert run_tool(KVASIR_SEG, arguments) == 0
    shown = capsys.readouterr()
    assert 'missing mask: Kvasir-SEG/images/c.jpg' in shown.err
    assert '1 bad files skipped' in shown.out


def test_unusable_input_ends_with_2_and_one_line(tmp_path, out, capsys):
    assert run_tool(KVASIR_SEG, [str(tmp_path / 'none.zip'), '--out', str(out)]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith('error: ')
    assert 'none.zip' in shown
    assert shown.count('\n') == 1


def test_an_archive_that_points_outside_ends_with_2(tmp_path, out, capsys):
    path = tmp_path / 'kvasir-seg.zip'
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('../../evil.jpg', b'x')
    assert run_tool(KVASIR_SEG, [str(path), '--out', str(out)]) == 2
    assert "'../../evil.jpg' points outside" in capsys.readouterr().err
    assert not out.exists()
    assert not list(tmp_path.rglob('evil.jpg'))


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['x'],
        ['x', '--out', 'y', '--max-unpacked-gib', '0'],
        ['x', '--out', 'y', '--sites', 'nowhere'],
    ],
)
def test_wrong_command_lines_end_with_2(arguments):
    with pytest.raises(SystemExit) as error:
        run_tool(POLYPGEN, arguments)
    assert error.value.code == 2


def test_an_output_that_cannot_be_written_ends_with_2(kvasir, download, capsys):
    assert run_tool(KVASIR_SEG, [str(download), '--out', '/proc/nothing/out']) == 2
    assert '/proc/nothing/out' in capsys.readouterr().err


@pytest.fixture
def run_script(repo_root, monkeypatch):
    """Function that runs a tool as a script; returns its exit code."""

    def run(tool, *arguments):
        path = repo_root / 'tools' / 'dataset_converters' / f'{tool}.py'
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(path), run_name='__main__')
        return ended.value.code

    return run


@pytest.mark.parametrize('tool', TOOLS)
def test_tools_show_an_example_and_what_was_checked(tool, run_script, capsys):
    assert run_script(tool, '--help') == 0
    shown = capsys.readouterr().out
    assert f'python tools/dataset_converters/{tool}.py' in ' '.join(shown.split())
    assert 'What was checked:' in ' '.join(shown.split()) or tool in ('folder', 'coco')


def test_the_folder_tool_takes_its_options(make, download, out, run_script, capsys):
    make.pair('pics/x1_a.jpg', 'pics/x1_a_mask.png', values=(0, 3))
    options = [
        *('--site', 'mine', '--images', 'pics', '--masks', 'pics'),
        *('--mask-suffix', '_mask', '--mask-values', '3=polyp'),
        *('--sequence-pattern', r'x(\d)_', '--out', out),
    ]
    assert run_script('folder', download, *options) == 0
    assert 'mine: written: 1 pairs' in capsys.readouterr().out
    assert ',1,,polyp,' in (out / 'index.csv').read_text()


@pytest.mark.parametrize('value', ['polyp', '256=polyp', 'x=polyp', '1='])
def test_the_folder_tool_explains_wrong_mask_values(
    value, download, out, run_script, capsys
):
    options = ('--site', 'mine', '--out', out, '--mask-values', value)
    assert run_script('folder', download, *options) == 2
    assert 'expected VALUE=CLASS' in capsys.readouterr().err


def test_the_coco_tool_takes_its_options(make, download, out, run_script, capsys):
    make.image('pics/a.jpg')
    content = {
        'categories': [{'id': 3, 'name': 'polyp'}, {'id': 4, 'name': 'cyst'}],
        'images': [{'id': 7, 'file_name': 'a.jpg'}],
        'annotations': [
            {'image_id': 7, 'category_id': 3, 'segmentation': [[0, 0, 9, 0, 9, 9]]}
        ],
    }
    for name in ('wanted', 'other'):
        (download / f'{name}.json').write_text(json.dumps(content))
    options = [
        *('--site', 'mine', '--images', 'pics', '--annotations', 'wanted.json'),
        *('--categories', 'cyst', 'polyp', '--out', out),
    ]
    assert run_script('coco', download, *options) == 0
    assert 'mine: written: 1 pairs' in capsys.readouterr().out
    assert "'1': 'cyst'" in str(json.loads((out / 'mine/classes.json').read_text()))
