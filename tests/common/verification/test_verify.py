"""Every fault that a data set may have, put into a data set without faults."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from mcdrl_common.verification import (
    VerificationError,
    facts_cache,
    list_folder,
    verify,
)
from mcdrl_mmseg.datasets.config_listing import list_config

EXIF_ORIENTATION = 0x0112


def found_in(listing, **options) -> dict[str, list[str]]:
    """The findings of a verification: kind -> files."""
    report = verify(listing, jobs=1, **options)
    return {kind: [one.file for one in group] for kind, group in report.by_kind()}


def test_sites_without_a_fault_have_no_finding(sites):
    assert found_in(list_config(sites.config())) == {}
    assert found_in(list_folder(sites.root)) == {}


def truncate(sites):
    path = sites.image('south')
    path.write_bytes(path.read_bytes()[:-40])


def truncate_mask(sites):
    path = sites.mask('south')
    path.write_bytes(path.read_bytes()[:-20])


def put_text(sites):
    sites.image('south').write_text('not found')


def empty(sites):
    sites.mask('south').write_bytes(b'')


def turn(sites):
    with Image.open(sites.image('south')) as image:
        exif = image.getexif()
        exif[EXIF_ORIENTATION] = 3
        image.save(sites.image('south'), exif=exif)


def deepen(sites):
    grey = np.linspace(0, 60000, 48 * 64).astype(np.uint16).reshape(48, 64)
    Image.fromarray(grey).save(sites.image('south'))


def make_grey(sites):
    with Image.open(sites.image('south')) as image:
        image.convert('L').save(sites.image('south'))


def make_transparent(sites):
    with Image.open(sites.image('south')) as image:
        image.convert('RGBA').save(sites.image('south'))


def two_images(sites):
    with Image.open(sites.image('north')) as image:
        upside_down = image.transpose(Image.Transpose.ROTATE_180)
    upside_down.save(sites.image('south').with_suffix('.jpg'))


def shrink_mask(sites):
    mask = np.zeros((24, 32), np.uint8)
    mask[:9] = 255
    Image.fromarray(mask).save(sites.mask('south'))


def deepen_mask(sites):
    mask = np.zeros((48, 64), np.uint16)
    mask[:9] = 255
    Image.fromarray(mask).save(sites.mask('south'))


def colour_mask(sites):
    mask = np.zeros((48, 64, 3), np.uint8)
    mask[:9, :, 1] = 255
    Image.fromarray(mask).save(sites.mask('south'))


def small_mask_values(sites):
    Image.fromarray(np.eye(48, 64, dtype=np.uint8)).save(sites.mask('south'))


def empty_site(sites):
    for path in (sites.root / 'south' / 'masks').iterdir():
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(path)


def copy_into_test(sites):
    shutil.copy(sites.image('south'), sites.image('west', '2'))


def copy_between_training_sites(sites):
    shutil.copy(sites.image('south'), sites.image('north', '2'))


def copy_in_other_format(sites):
    with Image.open(sites.image('south')) as image:
        image.save(sites.image('west', '2').with_suffix('.bmp'))
    sites.image('west', '2').unlink()


def brighten_into_test(sites):
    with Image.open(sites.image('south')) as image:
        image.point(lambda value: value * 0.9 + 20).save(sites.image('west', '2'))


def mirror_into_test(sites):
    with Image.open(sites.image('south')) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(sites.image('west', '2'))


FAULTS = [
    ('an image that ends early', truncate, 'unreadable image', 'south/images/1.png'),
    ('a mask that ends early', truncate_mask, 'unreadable mask', 'south/masks/1.png'),
    ('a text file called .png', put_text, 'unreadable image', 'south/images/1.png'),
    ('an empty mask file', empty, 'unreadable mask', 'south/masks/1.png'),
    (
        'an image without mask',
        lambda sites: sites.mask('south').unlink(),
        'missing mask',
        'south/images/1.png',
    ),
    (
        'a mask without image',
        lambda sites: sites.image('south').unlink(),
        'mask without image',
        'south/masks/1.png',
    ),
    (
        'two images of one name',
        two_images,
        'ambiguous name',
        'south/images/1.jpg',
    ),
    ('an image turned by EXIF', turn, 'rotated image', 'south/images/1.png'),
    ('an image of 16 bits', deepen, 'image bit depth', 'south/images/1.png'),
    ('a grey image', make_grey, 'grey image', 'south/images/1.png'),
    ('a transparent image', make_transparent, 'image channels', 'south/images/1.png'),
    ('a mask of another size', shrink_mask, 'mask size', 'south/masks/1.png'),
    ('a mask of 16 bits', deepen_mask, 'mask bit depth', 'south/masks/1.png'),
    ('a colour mask', colour_mask, 'mask channels', 'south/masks/1.png'),
    ('a mask of 0 and 1', small_mask_values, 'mask values', 'south/masks/1.png'),
    ('a site without any lesion', empty_site, 'lesion-free site', 'south'),
    (
        'a training image among the test images',
        copy_into_test,
        'copy in two splits',
        'south/images/1.png (train)',
    ),
    (
        'the same, saved in another format',
        copy_in_other_format,
        'copy in two splits',
        'south/images/1.png (train)',
    ),
    (
        'an image at two training sites',
        copy_between_training_sites,
        'copy at two sites',
        'north/images/2.png (train)',
    ),
    (
        'a near copy of a training image among the test images',
        brighten_into_test,
        'near copy across the test border',
        'south/images/1.png',
    ),
    (
        'a mirrored copy of a training image among the test images',
        mirror_into_test,
        'near copy across the test border',
        'south/images/1.png',
    ),
    (
        'a site that is not there',
        lambda sites: shutil.rmtree(sites.root / 'south'),
        'missing folder',
        '{root}/south/images',
    ),
    (
        'a site without images',
        lambda sites: [path.unlink() for path in (sites.root / 'south').rglob('*.png')],
        'no images',
        'south/images',
    ),
]


@pytest.mark.parametrize(
    ('put_fault', 'kind', 'file'),
    [
        pytest.param(
            *fault,
            id=what,
            marks=pytest.mark.reliability('bad input', f'data: {what}'),
        )
        for what, *fault in FAULTS
    ],
)
def test_a_fault_is_found_with_its_file_and_nothing_else_is_reported(
    sites, put_fault, kind, file
):
    put_fault(sites)
    found = found_in(list_config(sites.config()))
    assert file.format(root=sites.root) in found.pop(kind)
    # Each file has one fault here: any other finding would be a false alarm.
    assert found == {}


def test_all_faults_are_found_at_once_with_a_count(sites):
    for put_fault in (turn, colour_mask, copy_into_test):
        put_fault(sites)
    sites.mask('north', '0').unlink()
    report = verify(list_config(sites.config()), jobs=1)
    content = report.to_json()
    assert content['problems'] == len(report.problems) == 5
    assert {group['kind']: group['count'] for group in content['findings']} == {
        'missing mask': 1,
        'rotated image': 2,
        'mask channels': 1,
        'copy in two splits': 1,
    }


def test_a_fast_verification_checks_only_the_names(sites):
    truncate(sites)
    sites.mask('north').unlink()
    report = verify(list_config(sites.config()), full=False)
    assert [one.kind for one in report.findings] == ['missing mask']
    assert report.files_read == 0


@pytest.mark.reliability('bad input', 'data: a site in training and in test')
def test_a_site_in_two_splits_is_found_by_the_names_alone(sites):
    config = sites.config()
    config['train_dataloader']['dataset']['sites'].append('west')
    found = found_in(list_config(config), full=False)
    assert len(found['same file in two splits']) == 4


def test_validation_on_the_test_images_is_a_warning(sites):
    config = sites.config()
    config['val_dataloader'] = config['test_dataloader']
    report = verify(list_config(config), full=False)
    assert not report.problems
    assert {one.kind for one in report.warnings} == {
        'test images choose the checkpoint'
    }


@pytest.mark.reliability('bad input', 'data: classes in another order than the masks')
def test_classes_in_another_order_than_the_converter_wrote_are_found(sites):
    written = {'mask_values': {'0': 'background', '1': 'polyp', '2': 'cyst'}}
    (sites.root / 'south' / 'classes.json').write_text(json.dumps(written))
    values = {0: 'background', 1: 'polyp', 2: 'cyst', 255: 'ignore'}
    right = sites.config(lesion_classes=['polyp', 'cyst'], mask_values=values)
    assert 'swapped classes' not in found_in(list_config(right), full=False)
    values = {**values, 1: 'cyst', 2: 'polyp'}
    wrong = sites.config(lesion_classes=['polyp', 'cyst'], mask_values=values)
    (name,) = found_in(list_config(wrong), full=False)['swapped classes']
    assert name.endswith('south/classes.json')


def test_a_folder_of_sites_is_verified_without_a_config(sites):
    copy_between_training_sites(sites)
    shrink_mask(sites)
    assert found_in(list_folder(sites.root)) == {
        'mask size': ['south/masks/1.png'],
        'copy at two sites': ['north/images/2.png'],
    }


def test_kinds_of_findings_can_be_allowed_and_unknown_kinds_are_refused(sites):
    empty_site(sites)
    listing = list_config(sites.config())
    report = verify(listing, jobs=1, allow=['lesion-free site'])
    assert not report.problems and len(report.warnings) == 1
    with pytest.raises(VerificationError, match='lesion free site'):
        verify(listing, allow=['lesion free site'])


def test_a_file_in_place_of_a_folder_is_not_reported_as_missing(tmp_path):
    file = tmp_path / 'config.py'
    with pytest.raises(VerificationError, match=r'config\.py: no such folder'):
        list_folder(file)
    file.touch()
    with pytest.raises(VerificationError, match='a file, not a folder of'):
        list_folder(file)


def test_with_max_images_a_site_need_not_have_a_lesion(sites):
    empty_site(sites)
    config = sites.config()
    config['train_dataloader']['dataset']['max_images'] = 1
    assert found_in(list_config(config)) == {}


def test_several_processes_have_the_same_findings_as_one(sites):
    # Enough for two processes.
    for number in range(5, 80):
        sites.put('north', f'{number}')
    truncate(sites)
    listing = list_config(sites.config())
    assert verify(listing, jobs=2).findings == verify(listing, jobs=1).findings


def test_a_cached_file_is_not_read_again_until_it_changes(sites, tmp_path):
    listing, cache = list_config(sites.config()), tmp_path / 'cache'
    assert verify(listing, cache_dir=cache, jobs=1).files_read == 30
    assert verify(listing, cache_dir=cache, jobs=1).files_read == 0
    truncate(sites)
    report = verify(listing, cache_dir=cache, jobs=1)
    assert report.files_read == 1
    assert [one.kind for one in report.problems] == ['unreadable image']


@pytest.mark.reliability('fault', 'cache of the data check damaged or emptied')
@pytest.mark.parametrize(
    'content',
    ['', '{"version": 1, "files"', '[]', '{"files": 1}', '[' * 100_000, '1' * 5000],
)
def test_a_damaged_cache_is_ignored_and_written_again(sites, tmp_path, content):
    listing, cache = list_config(sites.config()), tmp_path / 'cache'
    verify(listing, cache_dir=cache, jobs=1)
    for file in cache.iterdir():
        file.write_text(content)
    report = verify(listing, cache_dir=cache, jobs=1)
    assert report.files_read == 30 and not report.findings
    assert verify(listing, cache_dir=cache, jobs=1).files_read == 0


@pytest.mark.reliability('security', 'cache of the data check with other values')
@pytest.mark.parametrize(
    'change',
    [
        {'size': [64, 48]},
        {'size': 'large'},
        {'values': None},
        {'values': []},
        {'shares': [2]},
        {'bits': '8'},
        {'look': 'ff'},
        {'orientation': []},
    ],
)
@pytest.mark.parametrize('with_digest', [False, True])
def test_changed_facts_in_the_cache_are_read_again_from_the_files(
    sites, tmp_path, change, with_digest
):
    listing, cache = list_config(sites.config()), tmp_path / 'cache'
    before = verify(listing, cache_dir=cache, jobs=1)
    ((key, value),) = change.items()
    changed = 0
    for file in cache.iterdir():
        content = json.loads(file.read_text())
        for entry in content['files'].values():
            if key in entry['facts']:
                entry['facts'][key] = value
                changed += 1
        if with_digest:
            content['digest'] = facts_cache._digest(content['files'])
        file.write_text(json.dumps(content))
    report = verify(listing, cache_dir=cache, jobs=1)
    # A plausible size is believed if the digest was made to match.
    if not (with_digest and value == [64, 48]):
        assert report.findings == before.findings == []
        assert report.files_read >= changed > 0


def test_the_summary_tells_files_read_from_files_known_or_only_listed(sites, tmp_path):
    listing, cache = list_folder(sites.root), tmp_path / 'cache'
    fast = verify(listing, full=False, cache_dir=cache)
    assert '(only names checked, no file read): 0 problems' in fast.summary
    first, again = (verify(listing, cache_dir=cache, jobs=1) for _ in range(2))
    files = first.images + first.masks
    assert f'({files} files read, the others known)' in first.summary
    assert '(0 files read, the others known)' in again.summary


def test_swapping_two_masks_of_one_size_changes_the_contents_hash(sites, tmp_path):
    masks = sorted(sites.mask('south').parent.iterdir())
    Image.fromarray(np.roll(np.array(Image.open(masks[0])), 3)).save(masks[0])
    listing, cache = list_folder(sites.root), tmp_path / 'cache'
    first = verify(listing, cache_dir=cache, jobs=1)
    assert verify(listing, cache_dir=cache, jobs=1).contents == first.contents
    assert len(first.contents) == 64
    assert f'Contents {first.contents[:16]}.' in first.summary
    one, other = masks[0].read_bytes(), masks[1].read_bytes()
    masks[0].write_bytes(other)
    masks[1].write_bytes(one)
    swapped = verify(listing, cache_dir=cache, jobs=1)
    assert swapped.contents != first.contents
    assert swapped.to_json()['contents'] == swapped.contents
    # Files that were not read have no contents hash.
    assert verify(listing, full=False).contents is None


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no named pipes')
@pytest.mark.parametrize('kind', ['image', 'mask'])
def test_a_pipe_is_a_problem_and_does_not_block(sites, kind):
    path = getattr(sites, kind)('south')
    path.unlink()
    os.mkfifo(path)
    for listing in (list_config(sites.config()), list_folder(sites.root)):
        assert verify(listing, jobs=1).problems


def test_a_closed_split_is_compared_by_cached_facts_and_not_opened(sites, tmp_path):
    copy_into_test(sites)
    listing, cache = list_config(sites.config()), tmp_path / 'cache'
    report = verify(listing, cache_dir=cache, jobs=1, closed=['test'])
    assert (report.files_read, report.unread, report.findings) == (20, 5, [])
    assert '(20 files read, 5 images not opened, the others known)' in report.summary
    verify(listing, cache_dir=cache, jobs=1)
    report = verify(listing, cache_dir=cache, jobs=1, closed=['test'])
    assert [one.kind for one in report.problems] == ['copy in two splits']


def test_real_sites_have_no_problem_and_no_near_copy_across_the_test_border(data_root):
    listing = list_folder(data_root)
    # A part of each site is enough to see that there are no false alarms.
    listing.entries = listing.entries[::10]
    report = verify(listing, jobs=1)
    assert report.images == 150
    assert report.findings == []


def test_disagreements_between_index_and_images_are_findings(sites):
    rows = ['site,image,patient', *(f'north,{n},p' for n in range(1, 6))]
    (sites.root / 'index.csv').write_text('\n'.join([*rows, 'sowth,0.png,q']))
    found = {(f.kind, f.file) for f in verify(list_folder(sites.root)).findings}
    assert ('index row without image', 'north: 5') in found
    assert ('image without index row', 'north: 0.png') in found
    assert ('misnamed site in the index', 'south') in found


def test_hidden_files_of_macos_are_not_images(sites):
    sites.image('north').with_name('._1.png').write_bytes(b'Mac OS X')
    assert not verify(list_folder(sites.root)).findings


def test_a_label_map_with_255_among_its_values_is_a_problem(sites, draw):
    mask = draw[1]()
    mask[14:26, 24:36] = 1
    sites.put('north', '1', mask=mask)
    report = verify(list_folder(sites.root))
    assert [(f.kind, f.file) for f in report.problems] == [
        ('mask values', 'north/masks/1.png')
    ]


def test_soft_edges_of_a_mask_are_reported(sites, draw):
    soft = np.asarray(Image.fromarray(draw[1]((96, 128))).resize((64, 48)))
    sites.put('north', '1', mask=soft)
    report = verify(list_folder(sites.root))
    assert [f.kind for f in report.findings] == ['soft edges']
    assert not report.problems


def test_one_inverted_mask_is_reported_and_a_site_of_them_is_a_problem(sites, draw):
    inverted = 255 - draw[1]()
    sites.put('north', '1', mask=inverted)
    report = verify(list_folder(sites.root))
    assert [(f.kind, f.file) for f in report.findings] == [
        ('mostly lesion', 'north/masks/1.png')
    ]
    for number in range(5):
        sites.put('north', f'{number}', mask=inverted)
    report = verify(list_folder(sites.root))
    assert [(f.kind, f.file) for f in report.problems] == [('inverted masks', 'north')]
    assert not verify(list_folder(sites.root), allow=['inverted masks']).problems


def save_as_jpeg(sites, name, mask):
    path = sites.mask('north', name)
    path.unlink()
    Image.fromarray(mask).save(path.with_suffix('.jpg'), quality=95)


def test_jpeg_masks_of_zeros_and_ones_are_a_problem_beside_valid_png_masks(sites, draw):
    """They are read as empty, which the other masks of the site would hide."""
    for name in '01':
        save_as_jpeg(sites, name, draw[1](value=1))
    problems = verify(list_folder(sites.root)).problems
    assert [(p.kind, p.file) for p in problems] == [('faint masks', 'north')]
    assert problems[0].detail.startswith('2 JPEG masks')
    assert not verify(list_folder(sites.root), allow=['faint masks']).problems


def test_faint_and_black_jpeg_masks_beside_one_with_a_lesion_are_read_as_empty(
    sites, draw
):
    save_as_jpeg(sites, '0', draw[1](value=20))
    save_as_jpeg(sites, '1', draw[1](value=0))
    save_as_jpeg(sites, '2', draw[1]())
    assert not verify(list_folder(sites.root)).findings


def test_a_black_jpeg_mask_is_read_as_empty(sites, draw):
    save_as_jpeg(sites, '0', draw[1](value=0))
    assert not verify(list_folder(sites.root)).findings
