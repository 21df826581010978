import json

import numpy as np
from PIL import Image

from mcdrl_lab.data.convert_command import _show
from mcdrl_lab.data.converters.pair_and_write import Options, pair_and_write
from mcdrl_lab.data.site_index import read_index


def test_pairs_are_written_in_the_common_layout(
    clinic, three_pairs, download, out, snapshot, read_mask, box_mask
):
    (outcome,) = pair_and_write(clinic(), [download], out)
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


def test_the_index_lists_what_is_known_about_each_image(
    clinic, three_pairs, download, out
):
    pair_and_write(clinic(), [download], out)
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


def test_colliding_names_become_unique_and_are_reported(clinic, make, download, out):
    for folder in ('p 1', 'p 2'):
        make.pair(f'images/{folder}/1.jpg', f'masks/{folder}/1.png')
    make.pair('images/Upper.JPG', 'masks/Upper.PNG')
    make.pair('images/with space.jpeg', 'masks/with space.png')
    (outcome,) = pair_and_write(clinic(), [download], out)
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


def test_soft_edges_and_rgb_masks_are_used_and_reported(
    clinic, make, download, out, read_mask
):
    make.image('images/a.jpg')
    soft = np.zeros((48, 64), np.uint8)
    soft[10:20, 10:20], soft[10:20, 20], soft[10:20, 21] = 255, 128, 127
    make.array('masks/a.png', soft, 'RGB')
    (outcome,) = pair_and_write(clinic(), [download], out)
    assert (read_mask(out / 'clinic/masks/a.png') == 255).sum() == 110
    assert [(n['kind'], n['file']) for n in outcome.report['notes']] == [
        ('RGB mask', 'masks/a.png'),
        ('soft edges', 'masks/a.png'),
    ]


def test_jpeg_masks_of_zeros_and_ones_are_refused_if_no_jpeg_shows_a_lesion(
    clinic, make, download, out
):
    for name in 'ab':
        make.pair(f'images/{name}.jpg', f'masks/{name}.jpg', values=(0, 1))
    make.pair('images/c.jpg', 'masks/c.png')
    (outcome,) = pair_and_write(clinic(), [download], out)
    assert [(p['kind'], p['file']) for p in outcome.report['problems']] == [
        ('unexpected values', 'masks/a.jpg'),
        ('unexpected values', 'masks/b.jpg'),
    ]
    assert not (out / 'clinic').exists()
    pair_and_write(clinic(), [download], out, Options(skip_bad=True))
    assert [row['source_mask'] for row in read_index(out / 'index.csv')] == [
        'masks/c.png'
    ]
    written = sorted(p.name for p in (out / 'clinic').rglob('*.*') if p.is_file())
    assert written == ['c.jpg', 'c.png']


def test_ripple_in_a_jpeg_mask_is_read_as_empty_if_another_shows_a_lesion(
    clinic, make, download, out
):
    make.pair('images/a.jpg', 'masks/a.jpg', values=(0, 20))
    make.pair('images/b.jpg', 'masks/b.jpg')
    (outcome,) = pair_and_write(clinic(), [download], out)
    assert not outcome.report['problems']
    assert ('faint mask', 'masks/a.jpg') in [
        (note['kind'], note['file']) for note in outcome.report['notes']
    ]
    shares = [float(row['foreground']) for row in read_index(out / 'index.csv')]
    assert shares[0] == 0 < shares[1]


def test_wrong_file_endings_are_corrected_and_reported(clinic, make, download, out):
    make.pair('images/a.png', 'masks/a.png')
    (download / 'images/a.png').rename(download / 'images/a.jpg')
    (outcome,) = pair_and_write(clinic(), [download], out)
    assert (out / 'clinic/images/a.png').is_file()
    assert [note['kind'] for note in outcome.report['notes']] == ['wrong ending']


def test_exact_and_near_duplicates_are_reported(clinic, make, download, out):
    for name in ('a', 'b'):
        make.image(f'images/{name}.png', seed='same')
    make.image('images/c.jpg', seed='same', quality=95)
    make.image('images/d.png')
    for name in 'abcd':
        make.mask(f'masks/{name}.png')
    (outcome,) = pair_and_write(clinic(), [download], out)
    a, b, c = (f'clinic/images/{name}' for name in ('a.png', 'b.png', 'c.jpg'))
    assert outcome.report['exact_duplicates'] == [[a, b]]
    assert outcome.report['near_duplicates'] == [[a, b, c]]


def test_several_classes_become_index_masks_with_a_classes_file(
    clinic, make, download, out, read_mask
):
    make.image('images/a.jpg')
    values = np.zeros((48, 64), np.uint8)
    values[:8], values[8:16], values[16:18] = 10, 20, 99
    make.array('masks/a.png', values)
    names = {20: 'polyp', 10: 'cyst', 99: 'ignore', 7: 'background'}
    (outcome,) = pair_and_write(clinic(mask_values=names), [download], out)
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


def test_a_palette_index_with_different_colours_is_reported(
    clinic, make, download, out, capsys
):
    """Some programs give each file a palette of its own."""
    palettes = dict(
        a=[0, 0, 0, 255, 0, 0], b=[0, 0, 0, 0, 255, 0], c=[0, 0, 0, 255, 0, 0]
    )
    for name, palette in palettes.items():
        make.image(f'images/{name}.jpg')
        values = np.zeros((48, 64), np.uint8)
        values[:8] = 1
        mask = Image.fromarray(values)
        mask.putpalette(palette)
        (download / 'masks').mkdir(exist_ok=True)
        mask.save(download / f'masks/{name}.png')
    (outcome,) = pair_and_write(clinic(mask_values={1: 'polyp'}), [download], out)
    (note,) = outcome.report['notes']
    assert (note['kind'], note['file']) == ('other colours', 'masks/b.png')
    assert 'index 1 of its palette is the colour 0,255,0' in note['detail']
    assert 'in masks/a.png it is 255,0,0' in note['detail']
    _show(outcome)
    assert 'warning: masks/b.png: index 1' in capsys.readouterr().err
