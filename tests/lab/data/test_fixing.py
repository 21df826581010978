import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mcdrl_common.image_index import ImageIndex
from mcdrl_common.verification import list_folder, verify
from mcdrl_lab.data.fixing import FixError, fix, summary
from mcdrl_mmseg.datasets.config_listing import list_config

EXIF_ORIENTATION = 0x0112


@pytest.fixture
def fixed(sites, tmp_path):
    """Function that verifies the sites and writes a corrected copy."""

    def write(listing=None, folder=tmp_path / 'fixed'):
        listing = listing or list_folder(sites.root)
        return fix(listing, verify(listing, jobs=1), folder)

    return write


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.getexif().get(EXIF_ORIENTATION, 1) == 1
        return np.asarray(image)


def turn(path, orientation):
    with Image.open(path) as image:
        exif = image.getexif()
        exif[EXIF_ORIENTATION] = orientation
        image.save(path, exif=exif)


def test_good_pairs_are_copied_byte_for_byte(sites, fixed):
    done = fixed()
    assert (done.copied, done.corrected, done.left_out) == (15, {}, {})
    for path in sites.root.rglob('*.png'):
        copy = done.folder / path.relative_to(sites.root)
        assert copy.read_bytes() == path.read_bytes()


@pytest.mark.parametrize('drawn_on', ['stored', 'turned'])
def test_a_quarter_turn_is_undone_and_the_mask_is_turned_only_if_needed(
    sites, fixed, draw, drawn_on
):
    picture, box = draw
    # Orientation 6: shown after a turn by 90 degrees clockwise.
    upright = np.rot90(np.asarray(picture('x')), -1)
    mask = box() if drawn_on == 'stored' else np.ascontiguousarray(np.rot90(box(), -1))
    sites.put('south', '1', picture('x'), mask)
    turn(sites.image('south'), 6)
    done = fixed()
    assert np.array_equal(pixels(done.folder / 'south/images/1.png'), upright)
    expected = np.rot90(box(), -1)
    assert np.array_equal(pixels(done.folder / 'south/masks/1.png'), expected)
    assert not verify(list_folder(done.folder), jobs=1).findings


def test_an_image_is_left_out_if_its_mask_does_not_show_whether_it_is_turned(
    sites, fixed
):
    turn(sites.image('south'), 3)
    done = fixed()
    assert 'does not show' in done.left_out['south/images/1.png']
    assert not (done.folder / 'south/images/1.png').exists()
    assert done.copied == 14


@pytest.mark.parametrize(
    'mask',
    [
        lambda box: Image.fromarray(box(value=1)),
        lambda box: Image.fromarray(box(dtype=np.uint16)),
        lambda box: Image.fromarray(
            np.dstack([box()] * 3 + [np.full_like(box(), 255)])
        ),
    ],
    ids=['0 and 1', '16 bits', 'opaque channels'],
)
def test_a_mask_in_another_encoding_becomes_one_channel_of_0_and_255(
    sites, fixed, draw, mask
):
    box = draw[1]
    mask(box).save(sites.mask('south'))
    done = fixed()
    assert np.array_equal(pixels(done.folder / 'south/masks/1.png'), box())
    assert list(done.corrected) == ['south/masks/1.png']
    assert not verify(list_folder(done.folder), jobs=1).findings


def test_palette_mask_of_class_indices_keeps_its_indices(sites, fixed, draw):
    values = {'mask_values': {'0': 'background', '1': 'polyp'}}
    (sites.root / 'south' / 'classes.json').write_text(json.dumps(values))
    for number in range(5):
        image = Image.fromarray(draw[1](value=1))
        if number == 1:
            image = image.convert('P')
            image.putpalette([0, 0, 0, 200, 30, 10])
        image.save(sites.mask('south', f'{number}'))
    done = fixed()
    assert list(done.corrected) == ['south/masks/1.png']
    assert np.array_equal(pixels(done.folder / 'south/masks/1.png'), draw[1](value=1))
    classes = (done.folder / 'south/classes.json').read_text()
    assert json.loads(classes) == values


def test_files_that_cannot_be_corrected_without_loss_are_left_out_in_pairs(
    sites, fixed
):
    Image.fromarray(np.full((9, 9), 255, np.uint8)).save(sites.mask('north'))
    sites.image('south').write_bytes(b'')
    Image.fromarray(np.full((48, 64), 77, np.uint8)).save(sites.mask('west'))
    sites.mask('west', '2').unlink()
    done = fixed()
    assert set(done.left_out) == {
        'north/images/1.png',
        'south/images/1.png',
        'west/images/1.png',
        'west/images/2.png',
    }
    assert done.copied == 11
    assert not verify(list_folder(done.folder), jobs=1).findings
    assert json.loads((done.folder / 'fixed.json').read_text())['copied'] == 11
    assert 'left out: west/images/2.png: missing mask' in summary(done)


def test_an_image_in_both_training_and_test_is_kept_only_in_the_test(sites, fixed):
    shutil.copy(sites.image('south'), sites.image('west', '2'))
    done = fixed(list_config(sites.config()))
    assert list(done.left_out) == ['south/images/1.png']
    assert (done.folder / 'west/images/2.png').exists()


@pytest.mark.parametrize('name', ['1 (2)', 'a = b', '1 (train)'])
def test_copies_are_found_whatever_characters_their_names_contain(sites, fixed, name):
    for site in ('north', 'south'):
        shutil.copy(sites.image('west'), sites.image(site, name))
        shutil.copy(sites.mask('west'), sites.mask(site, name))
    for path in (sites.image('west'), sites.mask('west')):
        path.unlink()
    done = fixed()
    assert list(done.left_out) == [f'south/images/{name}.png']
    assert not verify(list_folder(done.folder), jobs=1).problems


def test_index_rows_with_spaces_around_names_are_kept(sites, fixed):
    rows = ['site,image,patient', *(f'south , {n}.png,p{n}' for n in range(5))]
    (sites.root / 'index.csv').write_text('\n'.join(rows))
    sites.image('south').write_bytes(b'')
    index = ImageIndex.read(fixed().folder / 'index.csv')
    assert [(row.image, row.patient) for row in index.rows] == [
        (f'south/images/{n}.png', f'p{n}') for n in (0, 2, 3, 4)
    ]


def test_images_without_an_index_row_are_reported_as_remaining(sites, fixed):
    rows = ['site,image,patient', *(f'south,{n}.png,p{n}' for n in range(4))]
    (sites.root / 'index.csv').write_text('\n'.join(rows))
    done = fixed()
    assert done.copied == 15
    assert 'remains: image without index row: south: 4.png' in summary(done)


def test_the_index_of_the_copy_has_the_rows_of_the_copied_images(sites, fixed):
    names = [f'south/images/{n}.png' for n in range(5)]
    rows = [
        'site,image,sequence',
        *(f'south,{name},v{i}' for i, name in enumerate(names)),
    ]
    (sites.root / 'index.csv').write_text('\n'.join(rows))
    sites.image('south').write_bytes(b'')
    done = fixed()
    with (done.folder / 'index.csv').open(newline='') as file:
        kept = {row['image']: row['sequence'] for row in csv.DictReader(file)}
    assert kept == {name: f'v{i}' for i, name in enumerate(names) if i != 1}


def test_index_rows_with_short_image_names_are_kept(sites, fixed):
    sites.image('south').write_bytes(b'')
    rows = ['site;image;sequence', *(f'south;{n};v{n}' for n in range(5))]
    (sites.root / 'index.csv').write_text('\n'.join(rows), 'utf-16')
    with (fixed().folder / 'index.csv').open(newline='') as file:
        kept = {row['image']: row['sequence'] for row in csv.DictReader(file)}
    assert kept == {f'south/images/{n}.png': f'v{n}' for n in (0, 2, 3, 4)}


def test_existing_files_and_folders_are_not_changed(sites, fixed, tmp_path):
    before = {path: path.read_bytes() for path in sites.root.rglob('*.png')}
    turn(sites.image('south'), 6)
    before[sites.image('south')] = sites.image('south').read_bytes()
    (tmp_path / 'there').mkdir()
    with pytest.raises(FixError, match='already exists'):
        fixed(folder=tmp_path / 'there')
    with pytest.raises(FixError, match='lies inside'):
        fixed(folder=sites.root / 'fixed')
    fixed()
    assert {p: p.read_bytes() for p in sites.root.rglob('*.png')} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ['fixed', 'sites', 'there']


def test_a_copy_that_fails_leaves_nothing_behind(sites, fixed, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mcdrl_lab.data.fixing.shutil.copyfile', full)
    with pytest.raises(FixError, match='No space left'):
        fixed()
    assert [p.name for p in tmp_path.iterdir()] == ['sites']
