import json

import numpy as np
import pytest

from mcdrl_lab.data.converters.pair_and_write import pair_and_write
from mcdrl_lab.data.converters.sources import bm_broncholc
from mcdrl_lab.data.site_index import read_index
from mcdrl_lab.errors import ConversionError

LABELS = [
    dict(id='l-tumor', name='Tumor'),
    dict(id='l-red', name='Muscosal erythema'),
    dict(id='l-carina', name='Main carina'),
]
SQUARE = [(20, 10), (40, 10), (40, 30), (20, 30)]


def annotation(image, *labels, points=SQUARE):
    data = [dict(x=x, y=y) for x, y in points]
    return dict(object_id=image, label_ids=list(labels), data=data)


@pytest.fixture
def group(make):
    """Function that writes one group of patients."""

    def write(folder, frames, annotations, labels=LABELS):
        objects = {}
        for patient, video, frame in frames:
            videos = objects.setdefault(patient, {})
            videos.setdefault(video, []).append(dict(image_id=frame))
            make.image(f'{folder}/imgs/{patient}/{video}/{frame}.png')
        listed = [
            dict(
                id=patient,
                videos=[
                    dict(video_id=video, images=images)
                    for video, images in videos.items()
                ],
            )
            for patient, videos in objects.items()
        ]
        for name, content in (
            ('objects', listed),
            ('labels', labels),
            ('annotation', annotations),
        ):
            path = make.root / folder / f'{name}.json'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))

    return write


def test_outlined_lesions_become_index_masks(group, download, out, read_mask, box_mask):
    group(
        'Lung_cancer/Lung_cancer',
        [('p1', 'v1', 'i1'), ('p1', 'v1', 'i2'), ('p1', 'v2', 'i3')],
        [
            annotation('i1', 'l-tumor'),
            annotation('i2', 'l-carina'),
            annotation('i3', 'l-red', 'l-carina'),
        ],
    )
    group('Non_lung_cancer', [('p2', 'v3', 'i4')], [annotation('i4', 'l-red')])
    (outcome,) = pair_and_write(bm_broncholc.SOURCE, [download], out)
    assert outcome.state == 'written'
    rows = read_index(out / 'index.csv')
    assert [
        (r['image'][-6:], r['patient'], r['sequence'], r['classes']) for r in rows
    ] == [
        ('i1.png', 'p1', 'v1', 'tumor'),
        ('i3.png', 'p1', 'v2', 'mucosal erythema'),
        ('i4.png', 'p2', 'v3', 'mucosal erythema'),
    ]
    mask = read_mask(out / 'bm_broncholc/masks/i1.png')
    tumor = outcome.report['lesion_classes'].index('tumor') + 1
    assert np.array_equal(mask, np.where(box_mask, tumor, 0))
    assert [(n['kind'], n['file']) for n in outcome.report['notes']] == [
        ('no outline', 'Lung_cancer/Lung_cancer/imgs/p1/v1/i2.png')
    ]


def test_class_indices_have_the_order_in_the_configs(group, download, out):
    group('g', [('p', 'v', 'i')], [annotation('i', 'l-red')])
    (outcome,) = pair_and_write(bm_broncholc.SOURCE, [download], out)
    assert outcome.report['mask_values'] == {
        '0': 'background',
        '1': 'mucosal infiltration',
        '2': 'mucosal edema of carina',
        '3': 'vascular growth',
        '4': 'mucosal erythema',
        '5': 'tumor',
        '6': 'anthracosis',
        '7': 'stenosis',
    }


def test_entries_without_image_and_outlines_without_entry_are_named(
    group, make, download, out
):
    group(
        'Lung_cancer',
        [('p1', 'v1', 'i1'), ('p1', 'v1', 'i2')],
        [annotation('i1', 'l-tumor'), annotation('unlisted', 'l-tumor')],
    )
    (make.root / 'Lung_cancer/imgs/p1/v1/i1.png').unlink()
    (outcome,) = pair_and_write(bm_broncholc.SOURCE, [download], out)
    assert outcome.state == 'refused'
    assert {(p['kind'], p['file']) for p in outcome.report['problems']} == {
        ('missing image', 'Lung_cancer/imgs/p1/v1/i1.png'),
        ('missing image', 'Lung_cancer/annotation.json: unlisted'),
    }


def test_an_outline_of_two_points_is_refused(group, download, out):
    group('g', [('p', 'v', 'i')], [annotation('i', 'l-tumor', points=[(1, 1), (2, 2)])])
    (outcome,) = pair_and_write(bm_broncholc.SOURCE, [download], out)
    assert [p['kind'] for p in outcome.report['problems']] == ['bad annotation']


def test_unknown_labels_are_refused(group, download, out):
    labels = [*LABELS, dict(id='x', name='Foreign body')]
    group('g', [('p', 'v', 'i')], [], labels=labels)
    with pytest.raises(ConversionError, match='Foreign body'):
        pair_and_write(bm_broncholc.SOURCE, [download], out)


@pytest.mark.parametrize('name', ['objects', 'labels', 'annotation'])
def test_lists_in_an_unexpected_form_are_named(group, make, download, out, name):
    group('g', [('p', 'v', 'i')], [annotation('i', 'l-tumor')])
    (make.root / f'g/{name}.json').write_text('[{"wrong": 1}]')
    with pytest.raises(
        ConversionError, match=f'g/{name}.json: not in the expected form'
    ):
        pair_and_write(bm_broncholc.SOURCE, [download], out)


@pytest.mark.parametrize('name', ['labels', 'annotation'])
def test_missing_lists_are_named(group, make, download, out, name):
    group('g', [('p', 'v', 'i')], [])
    (make.root / f'g/{name}.json').unlink()
    with pytest.raises(ConversionError, match=r'g: expected labels.json and annot'):
        pair_and_write(bm_broncholc.SOURCE, [download], out)
