import json

import pytest
from made_sites import box, picture
from PIL import Image

from mcdrl_common.sites import SiteDataError
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.projects.found_sites import find_sites, folders_left_out


@pytest.fixture
def put(tmp_path):
    """Write a pair, as ``put('north/images', 'north/masks')``; return the root."""

    def write(images, masks, name='1'):
        for folder, picture_of in ((images, picture(name)), (masks, box())):
            path = tmp_path / folder
            path.mkdir(parents=True, exist_ok=True)
            if folder == masks:
                picture_of = Image.fromarray(picture_of)
            picture_of.save(path / f'{name}.png')
        return tmp_path

    return write


def places(sites):
    return {s.name: (s.folder, s.img_dir, s.mask_dir) for s in sites}


def test_sites_are_found_in_one_folder_per_hospital(put):
    put('north/images', 'north/masks')
    root = put('south/Photos', 'south/Ground_Truth')
    (root / 'reports').mkdir()
    assert places(find_sites(root, 'polyp')) == {
        'north': (None, 'images', 'masks'),
        'south': (None, 'Photos', 'Ground_Truth'),
    }


def test_a_folder_of_images_and_masks_is_one_hospital(put):
    root = put('images', 'masks')
    (site,) = find_sites(root, 'polyp')
    assert places([site]) == {root.name: ('.', 'images', 'masks')}
    assert site.lesion_classes == ('polyp',)


def test_sites_are_found_in_subfolders_of_images_and_masks(put):
    put('imgs/north', 'labels/north')
    root = put('imgs/south', 'labels/south')
    assert places(find_sites(root, 'polyp')) == {
        'north': ('.', 'imgs/north', 'labels/north'),
        'south': ('.', 'imgs/south', 'labels/south'),
    }


def test_sites_are_found_by_an_index_of_files(put):
    root = put('a/frames/n', 'b/outlines')
    (root / 'index.csv').write_text(
        'site,image,mask,classes\n'
        'north,a/frames/n/1.png,b/outlines/1.png,polyp;cyst\n'
        'south,south/images/1.png,south/masks/1.png,polyp\n'
    )
    sites = find_sites(root)
    assert places(sites) == {
        'north': ('.', 'a/frames/n', 'b/outlines'),
        'south': (None, 'images', 'masks'),
    }
    assert [site.lesion_classes for site in sites] == [('polyp', 'cyst'), ('polyp',)]


def test_hospitals_missing_from_the_index_are_found_too(put):
    put('north/images', 'north/masks')
    root = put('south/images', 'south/masks')
    (root / 'index.csv').write_text(
        'site,image,mask,classes\nsouth,south/images/1.png,south/masks/1.png,polyp\n'
    )
    assert places(find_sites(root, 'polyp')) == {
        'north': (None, 'images', 'masks'),
        'south': (None, 'images', 'masks'),
    }
    with pytest.raises(ProtocolError, match=r'north.*--class'):
        find_sites(root)


def test_a_folder_renamed_by_the_index_is_not_a_second_hospital(put):
    put('b17/images', 'b17/masks')
    root = put('south/images', 'south/masks')
    (root / 'index.csv').write_text(
        'site,image,mask\nnorth,b17/images/1.png,b17/masks/1.png\n'
    )
    assert places(find_sites(root, 'polyp')) == {
        'north': ('.', 'b17/images', 'b17/masks'),
        'south': (None, 'images', 'masks'),
    }


def test_an_index_that_pairs_files_of_different_names_is_refused(put):
    for name in ('1', '2'):
        root = put('north/images', 'north/masks', name)
    rows = ['1.png,north/masks/2.png', '2.png,north/masks/1.png']
    lines = ['site,image,mask', *(f'north,north/images/{row}' for row in rows)]
    (root / 'index.csv').write_text('\n'.join(lines))
    with pytest.raises(
        ProtocolError, match=r'1\.png and north/masks/2\.png have different'
    ):
        find_sites(root, 'polyp')


def test_an_index_with_a_site_in_several_folders_is_refused(put):
    root = put('a', 'm')
    (root / 'index.csv').write_text(
        'site,image,mask\nnorth,a/1.png,m/1.png\nnorth,b/2.png,m/2.png\n'
    )
    with pytest.raises(ProtocolError, match=r"north.*img_dir: \['a', 'b'\].*convert"):
        find_sites(root, 'polyp')


def test_lesion_classes_are_read_from_the_notes_of_a_converter(put):
    put('north/images', 'north/masks')
    root = put('south/images', 'south/masks')
    values = {'0': 'background', '1': 'polyp', '2': 'cyst', '255': 'ignore'}
    (root / 'north/classes.json').write_text(json.dumps({'mask_values': values}))
    (root / 'reports').mkdir()
    (root / 'reports/south.json').write_text('{"lesion_classes": ["nodule"]}')
    north, south = find_sites(root)
    assert north.lesion_classes == ('polyp', 'cyst')
    assert north.mask_values[2] == 'cyst'
    assert (south.lesion_classes, south.mask_values) == (('nodule',), None)


def test_image_folders_that_belong_to_no_hospital_are_listed(put):
    put('north/images', 'north/masks')
    put('south/images', 'south/Outlines')
    put('north/images/session 1', 'north/masks')
    root = put('.cache', 'north/masks')
    (root / 'notes').mkdir()
    (root / 'notes/about.txt').write_text('x')
    found = find_sites(root, 'polyp')
    assert [site.name for site in found] == ['north']
    assert folders_left_out(root, found) == [
        'north/images/session 1',
        'south/Outlines',
        'south/images',
    ]


def test_image_and_mask_folders_without_a_counterpart_are_listed(put):
    put('images/north', 'masks/north')
    root = put('images/south', 'masks/South')
    found = find_sites(root, 'polyp')
    assert folders_left_out(root, found) == ['images/south', 'masks/South']
    put('other', 'masks/south')
    assert folders_left_out(root, find_sites(root, 'polyp')) == ['masks/South', 'other']


def test_a_missing_folder_hospital_or_class_is_an_error(put, tmp_path):
    with pytest.raises(ProtocolError, match='does not exist or is not a folder'):
        find_sites(tmp_path / 'gone')
    with pytest.raises(ProtocolError, match=r'holds no hospital.*convert folder'):
        find_sites(tmp_path)
    root = put('north/images', 'north/masks')
    with pytest.raises(ProtocolError, match=r'north.*--class'):
        find_sites(root)


@pytest.mark.reliability('bad input', 'notes of a site in JSON of another layout')
def test_site_notes_in_an_unexpected_layout_are_named(put):
    root = put('north/images', 'north/masks')
    (root / 'north/classes.json').write_text('[' * 90_000)
    with pytest.raises(SiteDataError, match=r'north/classes\.json: expected'):
        find_sites(root)
    (root / 'north/classes.json').unlink()
    (root / 'reports').mkdir()
    for text in ('[' * 90_000, '[]', '5', '{"lesion_classes": 5}'):
        (root / 'reports/north.json').write_text(text)
        with pytest.raises(ProtocolError, match='north: the lesion class of its masks'):
            find_sites(root)
