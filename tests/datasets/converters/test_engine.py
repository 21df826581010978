import csv
import json

import numpy as np
import pytest
from PIL import Image

from mcdrl_mmseg.datasets.converters import engine
from mcdrl_mmseg.datasets.converters.engine import Options, convert
from mcdrl_mmseg.datasets.converters.errors import ConversionError
from mcdrl_mmseg.datasets.converters.index import read_index
from mcdrl_mmseg.datasets.converters.output import work_folder
from mcdrl_mmseg.datasets.converters.sources.folder import FolderOptions, folder_source


def source(site='clinic', **options):
    options = {'lesion_class': 'polyp', **options}
    return folder_source(FolderOptions(site, **options))


def problems_of(outcome):
    return {(p['kind'], p['file']) for p in outcome.report['problems']}


@pytest.fixture
def three_pairs(make):
    make.pair('images/a.jpg', 'masks/a.png')
    make.pair('images/b.png', 'masks/b.jpg')
    make.pair('images/c.tif', 'masks/c.png', box=None)


@pytest.fixture
def spoilt(make, download, three_pairs):
    """The three good pairs, and every way of being bad at once."""
    make.image('images/no mask.jpg')
    make.mask('masks/no image.png')
    make.image('images/size.jpg')
    make.mask('masks/size.png', size=(40, 64))
    for name in ('images/cut.jpg', 'masks/cut2.png'):
        kind = make.image if name.startswith('images') else make.mask
        path = kind(name)
        path.write_bytes(path.read_bytes()[:-60])
    make.mask('masks/cut.png')
    make.image('images/cut2.jpg')
    make.image('images/low.jpg')
    make.mask('masks/low.png', values=(0, 1))
    make.image('images/red.jpg')
    red = np.zeros((48, 64, 3), np.uint8)
    red[5:9, 5:9, 0] = 255
    make.array('masks/red.png', red)
    make.image('images/text.jpg').write_text('no image')
    make.mask('masks/text.png')
    for ending in ('jpg', 'png'):
        make.image(f'images/twice.{ending}')
    make.mask('masks/twice.png')


SPOILT = {
    ('missing mask', 'images/no mask.jpg'),
    ('missing image', 'masks/no image.png'),
    ('size mismatch', 'masks/size.png'),
    ('unreadable image', 'images/cut.jpg'),
    ('unreadable mask', 'masks/cut2.png'),
    ('unexpected values', 'masks/low.png'),
    ('colour mask', 'masks/red.png'),
    ('unreadable image', 'images/text.jpg'),
    ('ambiguous', 'images/twice.jpg'),
    ('ambiguous', 'images/twice.png'),
}


def test_pairs_are_written_in_the_common_layout(
    three_pairs, download, out, snapshot, read_mask, box_mask
):
    (outcome,) = convert(source(), [download], out)
    assert outcome.state == 'written'
    assert set(snapshot(out)) == {
        '.lock',
        'index.csv',
        'clinic/images/a.jpg',
        'clinic/images/b.png',
        'clinic/images/c.png',
        'clinic/masks/a.png',
        'clinic/masks/b.png',
        'clinic/masks/c.png',
        'reports/clinic.json',
        'reports/clinic.md',
    }
    for name in ('a.jpg', 'b.png'):
        copy, original = out / 'clinic/images' / name, download / 'images' / name
        assert copy.read_bytes() == original.read_bytes()
    with (
        Image.open(out / 'clinic/images/c.png') as after,
        Image.open(download / 'images/c.tif') as before,
    ):
        assert np.array_equal(np.asarray(after), np.asarray(before))
    assert np.array_equal(read_mask(out / 'clinic/masks/a.png'), box_mask)
    assert np.array_equal(read_mask(out / 'clinic/masks/b.png'), box_mask)
    assert not read_mask(out / 'clinic/masks/c.png').any()


def test_the_index_tells_what_is_known_of_each_image(three_pairs, download, out):
    convert(source(), [download], out)
    rows = read_index(out / 'index.csv')
    assert rows[1] == {
        'site': 'clinic',
        'image': 'clinic/images/b.png',
        'mask': 'clinic/masks/b.png',
        'sequence': '',
        'patient': '',
        'classes': 'polyp',
        'foreground': f'{20 * 20 / (48 * 64):.6f}',
        'height': '48',
        'width': '64',
        'source_image': 'images/b.png',
        'source_mask': 'masks/b.jpg',
    }
    assert [row['classes'] for row in rows] == ['polyp', 'polyp', '']
    assert rows[2]['foreground'] == '0.000000'


def test_a_second_run_changes_nothing(three_pairs, download, out, snapshot):
    convert(source(), [download], out)
    before = snapshot(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()}
    (outcome,) = convert(source(), [download], out, Options(overwrite=True))
    assert outcome.state == 'up to date'
    assert snapshot(out) == before
    del times[out / '.lock']
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_every_problem_is_named_and_nothing_of_the_site_written(
    spoilt, download, out, snapshot
):
    (outcome,) = convert(source(), [download], out)
    assert outcome.state == 'refused'
    assert problems_of(outcome) == SPOILT
    assert set(snapshot(out)) == {
        '.lock',
        'reports/clinic.refused.json',
        'reports/clinic.refused.md',
    }
    text = outcome.report_file.read_text()
    report = json.loads(outcome.report_file.with_suffix('.json').read_text())
    for kind, file in SPOILT:
        assert f'- {kind}: `{file}`: ' in text
        assert (kind, file) in {(p['kind'], p['file']) for p in report['problems']}
    assert '**Nothing was written.**' in text


def test_skip_bad_writes_the_good_pairs_and_names_the_bad(
    spoilt, download, out, snapshot
):
    (outcome,) = convert(source(), [download], out, Options(skip_bad=True))
    assert outcome.state == 'written'
    assert problems_of(outcome) == SPOILT
    images = [row['image'] for row in read_index(out / 'index.csv')]
    assert images == [f'clinic/images/{name}' for name in ('a.jpg', 'b.png', 'c.png')]
    written = {name for name in snapshot(out) if name.startswith('clinic/')}
    assert len(written) == 6
    assert outcome.report['counts']['files with problems'] == len(SPOILT)
    before = snapshot(out)
    (outcome,) = convert(source(), [download], out, Options(skip_bad=True))
    assert outcome.state == 'up to date'
    assert snapshot(out) == before


def test_a_refused_report_goes_when_the_data_are_put_right(
    three_pairs, make, download, out, snapshot
):
    make.image('images/d.jpg')
    convert(source(), [download], out)
    assert (out / 'reports/clinic.refused.md').is_file()
    make.mask('masks/d.png')
    convert(source(), [download], out)
    assert not [name for name in snapshot(out) if 'refused' in name]


def test_refused_data_leave_an_earlier_conversion_as_it_was(
    three_pairs, make, download, out, snapshot
):
    convert(source(), [download], out)
    before = snapshot(out)
    make.image('images/d.jpg')
    convert(source(), [download], out, Options(overwrite=True))
    after = snapshot(out)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        'reports/clinic.refused.json',
        'reports/clinic.refused.md',
    }


def test_nothing_good_is_refused_even_with_skip_bad(make, download, out):
    make.image('images/a.jpg')
    (outcome,) = convert(source(), [download], out, Options(skip_bad=True))
    assert outcome.state == 'refused'
    assert not (out / 'clinic').exists()


def test_a_site_that_would_change_needs_overwrite(
    three_pairs, make, download, out, snapshot
):
    convert(source(), [download], out)
    before = snapshot(out)
    make.pair('images/d.jpg', 'masks/d.png')
    with pytest.raises(ConversionError, match=r'images/d.jpg.*--overwrite'):
        convert(source(), [download], out)
    assert snapshot(out) == before
    (outcome,) = convert(source(), [download], out, Options(overwrite=True))
    assert outcome.state == 'written'
    assert len(read_index(out / 'index.csv')) == 4
    assert not list(out.glob('.previous-*'))


def test_a_folder_that_no_converter_made_is_never_replaced(
    three_pairs, download, out, snapshot
):
    (out / 'clinic').mkdir(parents=True)
    (out / 'clinic/thesis.txt').write_text('years of work')
    before = snapshot(out)
    with pytest.raises(ConversionError, match='not made by a converter'):
        convert(source(), [download], out, Options(overwrite=True))
    assert {**before, '.lock': b''} == snapshot(out)


def test_a_conversion_killed_before_the_index_is_completed_by_the_next(
    three_pairs, download, out, snapshot, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, 'merge_rows', killed)
        with pytest.raises(KeyboardInterrupt):
            convert(source(), [download], out)
    assert not (out / 'index.csv').exists()
    (outcome,) = convert(source(), [download], out)
    assert outcome.state == 'renewed'
    assert len(read_index(out / 'index.csv')) == 3


def test_a_conversion_killed_while_building_leaves_no_trace(
    three_pairs, download, out, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, 'fingerprint', killed)
    with pytest.raises(KeyboardInterrupt):
        convert(source(), [download], out)
    assert not out.exists()


def test_other_sites_keep_their_rows_and_added_columns(three_pairs, download, out):
    convert(source('one'), [download], out)
    rows = read_index(out / 'index.csv')
    with (out / 'index.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, [*rows[0], 'device'])
        writer.writeheader()
        writer.writerows({**row, 'device': 'X'} for row in rows)
    convert(source('another'), [download], out)
    merged = read_index(out / 'index.csv')
    assert [row['site'] for row in merged] == ['another'] * 3 + ['one'] * 3
    assert [row['device'] for row in merged] == [''] * 3 + ['X'] * 3
    (outcome,) = convert(source('one'), [download], out)
    assert outcome.state == 'up to date'
    assert read_index(out / 'index.csv') == merged


def test_rows_that_the_user_changed_are_not_overwritten_unasked(
    three_pairs, download, out
):
    convert(source(), [download], out)
    text = (out / 'index.csv').read_text()
    changed = text.replace('images/a.jpg,clinic/masks/a.png,,', 'images/a.jpg,m,s1,')
    (out / 'index.csv').write_text(changed)
    with pytest.raises(ConversionError, match=r'its rows in index.csv'):
        convert(source(), [download], out)
    assert (out / 'index.csv').read_text() == changed
    convert(source(), [download], out, Options(overwrite=True))
    assert (out / 'index.csv').read_text() == text


def test_colliding_names_become_unique_and_are_reported(make, download, out):
    for folder in ('p 1', 'p 2'):
        make.pair(f'images/{folder}/1.jpg', f'masks/{folder}/1.png')
    make.pair('images/Upper.JPG', 'masks/Upper.PNG')
    make.pair('images/with space.jpeg', 'masks/with space.png')
    (outcome,) = convert(source(), [download], out)
    images = {
        row['source_image']: row['image'] for row in read_index(out / 'index.csv')
    }
    assert images == {
        'images/Upper.JPG': 'clinic/images/Upper.jpg',
        'images/p 1/1.jpg': 'clinic/images/p_1_1.jpg',
        'images/p 2/1.jpg': 'clinic/images/p_2_1.jpg',
        'images/with space.jpeg': 'clinic/images/with_space.jpg',
    }
    assert all((out / image).is_file() for image in images.values())
    notes = {(note['kind'], note['file']) for note in outcome.report['notes']}
    assert notes == {
        ('renamed', 'images/p 1/1.jpg'),
        ('renamed', 'images/p 2/1.jpg'),
        ('ending', 'images/Upper.JPG'),
        ('renamed', 'images/with space.jpeg'),
        ('ending', 'images/with space.jpeg'),
    }


def test_soft_edges_and_rgb_masks_are_used_and_reported(make, download, out, read_mask):
    make.image('images/a.jpg')
    soft = np.zeros((48, 64), np.uint8)
    soft[10:20, 10:20], soft[10:20, 20:25], soft[10:20, 25:30] = 255, 128, 127
    make.array('masks/a.png', soft, 'RGB')
    (outcome,) = convert(source(), [download], out)
    assert (read_mask(out / 'clinic/masks/a.png') == 255).sum() == 150
    assert [(n['kind'], n['file']) for n in outcome.report['notes']] == [
        ('RGB mask', 'masks/a.png'),
        ('soft edges', 'masks/a.png'),
    ]


def test_wrong_endings_are_put_right_and_reported(make, download, out):
    make.pair('images/a.png', 'masks/a.png')
    (download / 'images/a.png').rename(download / 'images/a.jpg')
    (outcome,) = convert(source(), [download], out)
    assert (out / 'clinic/images/a.png').is_file()
    assert [note['kind'] for note in outcome.report['notes']] == ['wrong ending']


def test_exact_and_near_duplicates_are_reported(make, download, out):
    for name in ('a', 'b'):
        make.image(f'images/{name}.png', seed='same')
    make.image('images/c.jpg', seed='same', quality=95)
    make.image('images/d.png')
    for name in 'abcd':
        make.mask(f'masks/{name}.png')
    (outcome,) = convert(source(), [download], out)
    a, b, c = (f'clinic/images/{name}' for name in ('a.png', 'b.png', 'c.jpg'))
    assert outcome.report['exact_duplicates'] == [[a, b]]
    assert outcome.report['near_duplicates'] == [[a, b, c]]


def test_images_at_two_sites_are_reported_whatever_the_order(
    three_pairs, download, out, snapshot
):
    convert(source('one'), [download], out)
    assert not (out / 'reports/between_sites.json').exists()
    convert(source('two'), [download], out)
    before = snapshot(out)
    report = json.loads(before['reports/between_sites.json'])
    assert report['exact_duplicates'] == [
        [f'one/images/{name}', f'two/images/{name}']
        for name in ('a.jpg', 'b.png', 'c.png')
    ]
    convert(source('one'), [download], out)
    assert snapshot(out) == before


def test_several_classes_become_index_masks_with_a_classes_file(
    make, download, out, read_mask
):
    make.image('images/a.jpg')
    values = np.zeros((48, 64), np.uint8)
    values[:8], values[8:16], values[16:18] = 10, 20, 99
    make.array('masks/a.png', values)
    names = {20: 'polyp', 10: 'cyst', 99: 'ignore', 7: 'background'}
    (outcome,) = convert(source(mask_values=names), [download], out)
    mask = read_mask(out / 'clinic/masks/a.png')
    assert np.unique(mask).tolist() == [0, 1, 2, 255]
    assert (mask[:8] == 1).all()
    assert (mask[8:16] == 2).all()
    assert json.loads((out / 'clinic/classes.json').read_text()) == {
        'mask_values': {'0': 'background', '1': 'cyst', '2': 'polyp', '255': 'ignore'}
    }
    (row,) = read_index(out / 'index.csv')
    assert row['classes'] == 'cyst;polyp'
    assert row['foreground'] == f'{16 / 48:.6f}'
    assert (
        "dict(name='clinic', lesion_classes=['cyst', 'polyp'], mask_values={0: "
        "'background', 1: 'cyst', 2: 'polyp', 255: 'ignore'})"
    ) in outcome.report_file.read_text()


def test_output_inside_the_input_is_refused(three_pairs, download):
    with pytest.raises(ConversionError, match='lies in the input folder'):
        convert(source(), [download], download / 'out')
    assert not (download / 'out').exists()


def test_another_data_set_is_told_what_was_expected(make, download, out):
    make.image('photos/a.jpg')
    with pytest.raises(ConversionError, match=r'images/NAME.jpg.*photos/a.jpg'):
        convert(source(), [download], out)
    assert not out.exists()


@pytest.mark.parametrize('name', ['', '../up', 'a/b', '.hidden', 'reports', 'a b'])
def test_site_names_that_are_no_folder_names_are_refused(download, out, name):
    with pytest.raises(ConversionError, match='--site'):
        convert(source(name), [download], out)


def test_a_broken_index_stops_before_anything_is_written(
    three_pairs, download, out, snapshot
):
    out.mkdir()
    (out / 'index.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ConversionError, match=r'index\.csv'):
        convert(source(), [download], out)
    assert set(snapshot(out)) == {'.lock', 'index.csv'}


def test_conversions_into_one_folder_wait_for_each_other(three_pairs, download, out):
    with work_folder(out), pytest.raises(ConversionError, match='another conversion'):
        convert(source(), [download], out)


def test_the_dataset_reads_what_a_converter_wrote(three_pairs, download, out):
    from mcdrl_mmseg.datasets import EndoscopySiteDataset

    convert(source(), [download], out)
    dataset = EndoscopySiteDataset(
        data_root=str(out), sites=[dict(name='clinic', lesion_classes=['polyp'])]
    )
    assert len(dataset) == 3
