import json

import numpy as np
import pytest

from mcdrl_lab.data.converters.pair_and_write import Options, pair_and_write
from mcdrl_lab.data.converters.path_rules import PathRule
from mcdrl_lab.data.converters.sources.coco import CocoSource
from mcdrl_lab.data.site_index import read_index
from mcdrl_lab.errors import ConversionError

SQUARE = [[20, 10, 40, 10, 40, 30, 20, 30]]


def source(**options):
    texts = dict.fromkeys(('title', 'url', 'licence', 'layout', 'checked'), 'text')
    return CocoSource(**texts, site='s', **options)


def image(number, name, size=(48, 64)):
    return dict(id=number, file_name=name, height=size[0], width=size[1])


def outline(number, category=1, segmentation=SQUARE):
    return dict(
        id=number, image_id=number, category_id=category, segmentation=segmentation
    )


POLYP = [dict(id=1, name='polyp')]


@pytest.fixture
def write(make):
    def write_list(name='ann.json', **content):
        path = make.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({'categories': POLYP, **content}))

    return write_list


def test_polygons_and_run_lengths_become_masks(
    make, write, download, out, read_mask, box_mask
):
    for name in 'abc':
        make.image(f'images/{name}.jpg')
    flat = (box_mask.T > 0).ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = {'size': [48, 64], 'counts': np.diff([0, *changes, flat.size]).tolist()}
    write(
        'annotations/ann.json',
        images=[image(n, f'{name}.jpg') for n, name in enumerate('abc')],
        annotations=[
            outline(0),
            # Some programs call whatever they write as run lengths a crowd.
            outline(1, segmentation=runs) | {'iscrowd': 1},
        ],
    )
    pair_and_write(source(), [download], out)
    assert np.array_equal(read_mask(out / 's/masks/a.png'), box_mask)
    assert np.array_equal(read_mask(out / 's/masks/b.png'), box_mask)
    rows = read_index(out / 'index.csv')
    assert [row['classes'] for row in rows] == ['polyp', 'polyp', '']
    assert {row['source_mask'] for row in rows} == {'annotations/ann.json'}


def test_a_flat_list_of_coordinates_is_one_polygon(
    make, write, download, out, read_mask
):
    for name in 'ab':
        make.image(f'{name}.jpg')
    write(
        images=[image(0, 'a.jpg'), image(1, 'b.jpg')],
        annotations=[outline(0, segmentation=SQUARE[0]), outline(1)],
    )
    pair_and_write(source(), [download], out)
    flat, nested = (read_mask(out / f's/masks/{name}.png') for name in 'ab')
    assert (flat > 0).sum() == 20 * 20
    assert np.array_equal(flat, nested)


def test_an_annotation_of_an_unlisted_category_is_named(make, write, download, out):
    make.image('a.jpg')
    write(images=[image(0, 'a.jpg')], annotations=[outline(0, category=7)])
    with pytest.raises(
        ConversionError, match=r"annotation 0 has category 7; expected one of .*'polyp'"
    ):
        pair_and_write(source(), [download], out)
    assert not (out / 's').exists()


def test_categories_become_indices_in_the_requested_order(
    make, write, download, out, read_mask
):
    make.image('a.jpg')
    categories = [dict(id=n, name=name) for n, name in enumerate(('x', 'cyst', 'node'))]
    corner = [[0, 0, 8, 0, 8, 8, 0, 8]]
    write(
        categories=categories,
        images=[image(0, 'a.jpg')],
        annotations=[
            outline(0, 1),
            dict(image_id=0, category_id=2, segmentation=corner),
        ],
    )
    (outcome,) = pair_and_write(source(), [download], out)
    assert outcome.report['lesion_classes'] == ['cyst', 'node']
    mask = read_mask(out / 's/masks/a.png')
    assert (mask[4, 4], mask[20, 30]) == (2, 1)
    options = Options(overwrite=True)
    pair_and_write(source(categories=('node', 'cyst')), [download], out, options)
    mask = read_mask(out / 's/masks/a.png')
    assert (mask[4, 4], mask[20, 30]) == (1, 2)
    pair_and_write(source(categories=('node',)), [download], out, options)
    mask = read_mask(out / 's/masks/a.png')
    assert (mask[4, 4], mask[20, 30]) == (255, 0)


@pytest.mark.reliability(
    'silent', 'COCO with paths that are longer than those of the images'
)
def test_images_are_found_by_the_ends_of_their_paths(make, write, download, out):
    for folder in ('train', 'val'):
        make.image(f'{folder}/1.jpg')
        write(
            f'{folder}.json',
            images=[image(1, f'{folder}\\1.jpg')],
            annotations=[outline(1)],
        )
    both = source(
        annotations=('train.json', 'val.json'),
        sequence=PathRule('sequence', '^[a-z]+'),
    )
    pair_and_write(both, [download], out)
    rows = read_index(out / 'index.csv')
    assert [row['source_image'] for row in rows] == ['train/1.jpg', 'val/1.jpg']
    assert [row['sequence'] for row in rows] == ['train', 'val']


@pytest.mark.reliability('silent', 'COCO with other paths than those of the images')
@pytest.mark.parametrize(
    'listed',
    [
        '..\\..\\media\\upload\\4\\x 1.png',
        '/data/local-files/?d=upload/4/x%201.png',
        'https://server/media/x%201.png',
        '/home/someone/pictures/x 1.png',
        '../pictures/x 1.png',
        'x 1.PNG',
    ],
)
def test_images_are_found_by_name_if_paths_do_not_match(
    make, write, download, out, listed
):
    make.image('sub/x 1.png')
    write(images=[image(1, listed)], annotations=[outline(1)])
    (outcome,) = pair_and_write(source(), [download], out)
    assert outcome.state == 'written'
    assert [n for n in outcome.report['notes'] if n['kind'] == 'found by name'] == [
        dict(
            kind='found by name',
            file='sub/x 1.png',
            detail=f'taken for {listed!r}, listed in ann.json',
        )
    ]


@pytest.mark.reliability('silent', 'COCO with letters composed otherwise')
def test_composed_and_decomposed_letters_count_as_equal(make, write, download, out):
    make.image('Ko\u0308ln.png')
    write(images=[image(1, 'K\u00f6ln.png')], annotations=[outline(1)])
    assert pair_and_write(source(), [download], out)[0].state == 'written'


@pytest.mark.reliability('silent', 'COCO with names that several images have')
def test_a_name_that_several_images_share_is_refused_with_all_of_them(
    make, write, download, out
):
    for folder in ('a', 'b'):
        make.image(f'{folder}/1.png')
    write(images=[image(1, '/media/c/1.png')], annotations=[outline(1)])
    (outcome,) = pair_and_write(source(), [download], out)
    (problem,) = outcome.report['problems']
    assert problem['kind'] == 'ambiguous'
    assert "['a/1.png', 'b/1.png']" in problem['detail']


@pytest.mark.parametrize('size', [(None, None), (0, 0)])
def test_sizes_missing_in_a_list_are_taken_from_the_images(
    make, write, download, out, size, read_mask, box_mask
):
    make.image('a.jpg')
    write(images=[image(1, 'a.jpg', size)], annotations=[outline(1)])
    pair_and_write(source(), [download], out)
    assert np.array_equal(read_mask(out / 's/masks/a.png'), box_mask)


@pytest.mark.reliability('silent', 'COCO with annotations without category')
def test_annotations_without_category_are_named(make, write, download, out):
    make.image('a.jpg')
    write(images=[image(1, 'a.jpg')], annotations=[outline(1, category=None)])
    with pytest.raises(
        ConversionError, match=r'ann.json: annotation 1 .* category None'
    ):
        pair_and_write(source(), [download], out)


def test_the_images_folder_resolves_equal_names(make, write, download, out):
    for folder in ('train', 'val'):
        make.image(f'{folder}/1.jpg')
    write(images=[image(1, '1.jpg')], annotations=[outline(1)])
    (outcome,) = pair_and_write(source(), [download], out)
    assert [p['kind'] for p in outcome.report['problems']] == ['ambiguous']
    (outcome,) = pair_and_write(source(images='val'), [download], out)
    assert outcome.state == 'written'


def test_every_bad_entry_is_named(make, write, download, out):
    for name in 'abcd':
        make.image(f'{name}.jpg')
    write(
        images=[
            image(1, 'a.jpg'),
            image(2, 'gone.jpg'),
            image(3, 'b.jpg', size=(64, 48)),
            image(4, 'c.jpg'),
            image(5, 'd.jpg'),
            image(6, 'd.jpg'),
            image(7, '../../etc/passwd'),
            image(8, '../e/a.png'),
        ],
        annotations=[
            outline(1),
            outline(2),
            outline(3),
            outline(4, segmentation={'size': [48, 64], 'counts': [5]}),
            outline(5),
        ],
    )
    (outcome,) = pair_and_write(source(), [download], out)
    assert {(p['kind'], p['file']) for p in outcome.report['problems']} == {
        ('missing image', 'gone.jpg'),
        ('size mismatch', 'b.jpg'),
        ('bad annotation', 'c.jpg'),
        ('ambiguous', 'd.jpg'),
        ('missing image', '../../etc/passwd'),
        ('missing image', '../e/a.png'),
    }


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(images=[]), r"\['annotations'\] missing; expected an object with images"),
        (dict(images=3, annotations=[]), 'not in the expected form'),
        (dict(images=[], annotations=[outline(9)]), 'image 9, which is not listed'),
        (
            dict(images=[image(1, 'a.jpg'), image(1, 'b.jpg')], annotations=[]),
            'id 1 appears twice',
        ),
        (
            dict(images=[image(1, 'a.jpg')], annotations=[outline(1, category=4)]),
            'category 4; expected one of those listed',
        ),
        (dict(images=[image(1, 'a.jpg')], annotations=[]), '0 categories'),
    ],
)
def test_lists_that_are_not_coco_are_named(
    make, write, download, out, content, message
):
    write(**content)
    with pytest.raises(ConversionError, match=message):
        pair_and_write(source(), [download], out)
    assert not out.exists()


def test_several_annotation_files_must_be_named_unambiguously(
    make, write, download, out
):
    for name in ('a', 'b'):
        write(f'{name}/ann.json', images=[], annotations=[])
    with pytest.raises(ConversionError, match='name the annotation files'):
        pair_and_write(source(), [download], out)
    with pytest.raises(ConversionError, match=r'--annotations ann.json: expected one'):
        pair_and_write(source(annotations=('ann.json',)), [download], out)
    with pytest.raises(ConversionError, match=r'found none'):
        pair_and_write(source(annotations=('c.json',)), [download], out)


@pytest.mark.parametrize('options', [{}, dict(annotations=('a.json',))])
def test_labelme_files_are_recognised_and_the_conversion_to_coco_is_named(
    make, download, out, options
):
    for name in 'ab':
        content = dict(shapes=[], imagePath=f'{name}.jpg', imageData=None)
        (make.root / f'{name}.json').write_text(json.dumps(content))
    with pytest.raises(ConversionError, match=r'a\.json: labelme.*labelme2coco'):
        pair_and_write(source(**options), [download], out)
    assert not out.exists()


def test_unknown_categories_are_refused(make, write, download, out):
    write(images=[], annotations=[])
    with pytest.raises(ConversionError, match=r"--categories \['cyst'\]"):
        pair_and_write(source(categories=('cyst',)), [download], out)
