import json
import zipfile

import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.data.convert_command import PUBLISHED
from mcdrl_lab.data.site_index import read_index


def convert(*words):
    return main(['convert', *map(str, words)])


@pytest.fixture
def kvasir(make):
    for name in 'ab':
        make.pair(f'Kvasir-SEG/images/{name}.jpg', f'Kvasir-SEG/masks/{name}.jpg')


def test_a_good_data_set_ends_with_code_0_and_reports_what_was_checked(
    kvasir, download, out, capsys
):
    assert convert('kvasir-seg', download, '--out', out) == 0
    shown = capsys.readouterr().out
    assert 'kvasir_seg: written: 2 pairs' in shown
    assert 'never against the archive itself' in shown
    assert convert('kvasir-seg', download, '--out', out) == 0
    assert 'kvasir_seg: up to date' in capsys.readouterr().out


def test_bad_files_end_with_code_1_and_with_skip_bad_with_0(
    kvasir, make, download, out, capsys
):
    make.image('Kvasir-SEG/images/c.jpg')
    assert convert('kvasir-seg', download, '--out', out) == 1
    shown = capsys.readouterr().err
    assert 'missing mask: Kvasir-SEG/images/c.jpg' in shown
    assert 'nothing written' in shown
    assert convert('kvasir-seg', download, '--out', out, '--skip-bad') == 0
    shown = capsys.readouterr()
    assert 'missing mask: Kvasir-SEG/images/c.jpg' in shown.err
    assert '1 bad files skipped' in shown.out


def test_files_with_the_same_problem_share_one_line_of_the_output(
    make, download, out, capsys
):
    for number in range(7):
        make.image(f'images/{number}.jpg')
    make.pair('images/good.jpg', 'masks/good.png')
    words = 'folder', download, '--site', 'mine', '--out', out
    assert convert(*words) == 1
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert len(lines) == 2
    names = ', '.join(f'images/{number}.jpg' for number in range(5))
    assert lines[0].startswith(f'missing mask: {names} and 2 more: no mask found; ')
    assert '--lesion-free' in lines[0]
    assert '7 files with problems, 1 good pairs' in lines[1]
    assert not shown.out


def test_unusable_input_ends_with_a_one_line_error_and_code_2(tmp_path, out, capsys):
    assert convert('kvasir-seg', tmp_path / 'none.zip', '--out', out) == 2
    shown = capsys.readouterr().err
    assert shown.startswith('error: ')
    assert 'none.zip' in shown
    assert shown.count('\n') == 1


def test_an_archive_with_a_member_outside_its_folder_ends_with_code_2(
    tmp_path, out, capsys
):
    path = tmp_path / 'kvasir-seg.zip'
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('../../evil.jpg', b'x')
    assert convert('kvasir-seg', path, '--out', out) == 2
    assert "'../../evil.jpg' points outside" in capsys.readouterr().err
    assert not out.exists()
    assert not list(tmp_path.rglob('evil.jpg'))


@pytest.mark.parametrize(
    'words',
    [
        [],
        ['nowhere'],
        ['polypgen'],
        ['polypgen', 'x'],
        ['polypgen', 'x', '--out', 'y', '--max-unpacked-gib', '0'],
        ['kvasir-seg', 'x', '--out', 'y', '--sites', 'kvasir_seg'],
    ],
)
def test_wrong_command_lines_end_with_code_2(words):
    with pytest.raises(SystemExit) as error:
        convert(*words)
    assert error.value.code == 2


def test_unknown_sites_end_with_code_2_and_a_list_of_the_known_ones(
    download, out, capsys
):
    assert convert('polypgen', download, '--out', out, '--sites', 'nowhere') == 2
    shown = capsys.readouterr().err
    assert "--sites ['nowhere']: expected some of ['polypgen_c1', " in shown


def test_an_output_folder_that_cannot_be_written_ends_with_code_2(
    kvasir, download, capsys
):
    assert convert('kvasir-seg', download, '--out', '/proc/nothing/out') == 2
    assert '/proc/nothing/out' in capsys.readouterr().err


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        convert(*words, '--help')
    assert ended.value.code == 0
    return ' '.join(capsys.readouterr().out.split())


def test_the_help_names_every_source(capsys):
    shown = help_of(capsys)
    assert all(name in shown for name in (*PUBLISHED, 'coco', 'folder'))


@pytest.mark.parametrize('source', [*PUBLISHED, 'coco', 'folder'])
def test_the_help_of_a_source_shows_an_example_and_what_was_checked(source, capsys):
    shown = help_of(capsys, source)
    assert f'Example: python -m mcdrl_lab convert {source} ' in shown
    assert 'What was checked:' in shown or source not in PUBLISHED


def test_the_folder_source_uses_its_options(make, download, out, capsys):
    make.pair('pics/x1_a.jpg', 'pics/x1_a_mask.png', values=(0, 3))
    make.image('normal/x2_b.jpg')
    options = [
        *('--site', 'mine', '--images', 'pics', '--masks', 'pics'),
        *('--mask-suffix', '_mask', '--mask-values', '3=polyp'),
        *('--lesion-free', 'normal'),
        *('--sequence-pattern', r'x(\d)_', '--out', out),
    ]
    assert convert('folder', download, *options) == 0
    assert 'mine: written: 2 pairs, 1 without lesion' in capsys.readouterr().out
    assert ',1,,polyp,' in (out / 'index.csv').read_text()


@pytest.mark.parametrize(
    'value', ['polyp', '256=polyp', 'x=polyp', '1=', '1,2=polyp', '1,2,=p']
)
def test_the_folder_source_explains_wrong_mask_values(value, download, out, capsys):
    options = ('--site', 'mine', '--out', out, '--mask-values', value)
    with pytest.raises(SystemExit) as ended:
        convert('folder', download, *options)
    assert ended.value.code == 2
    assert 'expected VALUE=CLASS' in capsys.readouterr().err


def test_the_folder_source_explains_invalid_patterns(download, out, capsys):
    options = ('--site', 'mine', '--out', out, '--patient-pattern', '(')
    assert convert('folder', download, *options) == 2
    assert "--patient-pattern '(' is not a regular" in capsys.readouterr().err


def test_the_coco_source_uses_its_options(make, download, out, capsys):
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
    assert convert('coco', download, *options) == 0
    assert 'mine: written: 1 pairs' in capsys.readouterr().out
    assert "'1': 'cyst'" in str(json.loads((out / 'mine/classes.json').read_text()))


def test_patients_are_read_from_a_table_and_overwrite_reports_those_it_drops(
    three_pairs, make, download, out, tmp_path, capsys
):
    table = tmp_path / 'patients.csv'
    table.write_text('image,patient\na.jpg,p1\nb.png,p2\n')
    words = ('folder', download, '--site', 'clinic', '--out', out)
    assert convert(*words, '--patients', table) == 0
    rows = read_index(out / 'index.csv')
    assert [row['patient'] for row in rows] == ['p1', 'p2', '']
    make.image('images/a.jpg', seed='another')
    assert convert(*words, '--overwrite') == 0
    told = 'dropped from index.csv: patient of 1 images: clinic/images/a.jpg (p1)'
    assert told in capsys.readouterr().err
