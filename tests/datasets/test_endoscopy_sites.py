import csv

import cv2
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmseg.registry import DATASETS

from mcdrl_common.mask_format import MaskError
from mcdrl_common.sites import Site, SiteDataError
from mcdrl_mmseg.datasets import EndoscopySiteDataset

META_KEYS = ('img_path', 'ori_shape', 'site', 'sequence', 'lesion_classes')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLesionMask'),
    dict(type='PackSegInputs', meta_keys=META_KEYS),
]
SHAPE = (6, 8)


@pytest.fixture
def write(tmp_path):
    """Writes a site: image name -> values of the left and the right half."""

    def write_site(site, halves, img_dir='images', mask_dir='masks', suffix='.png'):
        for folder in (img_dir, mask_dir):
            (tmp_path / site / folder).mkdir(parents=True, exist_ok=True)
        for name, values in halves.items():
            image = np.full((*SHAPE, 3), 100, np.uint8)
            cv2.imwrite(str(tmp_path / site / img_dir / name), image)
            if values is None:
                continue
            mask = np.repeat(np.array([values], np.uint8), SHAPE[0], axis=0)
            mask = np.repeat(mask, SHAPE[1] // 2, axis=1)
            stem = name.rpartition('.')[0]
            cv2.imwrite(str(tmp_path / site / mask_dir / f'{stem}{suffix}'), mask)
        return tmp_path

    return write_site


def numbered(count) -> dict:
    return {f'{i:02}.jpg': (0, 255) for i in range(count)}


def build(root, sites, **values) -> EndoscopySiteDataset:
    # Serialising collects garbage first, which takes most of a small test's time.
    cfg = dict(
        type='EndoscopySiteDataset',
        data_root=str(root),
        sites=sites,
        pipeline=PIPELINE,
        serialize_data=False,
    )
    return DATASETS.build({**cfg, **values})


def polyps_and_cysts(write, **values) -> EndoscopySiteDataset:
    """Two sites of one image each, a polyp and a cyst."""
    root = write('a', {'1.jpg': (0, 255)})
    write('b', {'1.jpg': (255, 0)})
    sites = [
        dict(name='a', lesion_classes=['polyp']),
        dict(name='b', lesion_classes=['cyst']),
    ]
    return build(root, sites, **values)


def names(dataset) -> list[str]:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [f'{i["site"]}/{i["img_path"].rpartition("/")[2]}' for i in infos]


def test_samples_come_site_by_site_in_the_order_of_their_names(write):
    root = write('b', {'2.jpg': (0, 255), '1.jpg': (0, 0)})
    write('a', {'x.png': (0, 255)})
    assert names(build(root, ['b', 'a'])) == ['b/1.jpg', 'b/2.jpg', 'a/x.png']


def test_every_sample_carries_its_site_sequence_and_the_lesion_classes_present(write):
    root = write('a', {'1.jpg': (0, 255), '2.jpg': (0, 0)})
    dataset = build(root, [dict(name='a', lesion_classes=['polyp'])])
    samples = [dataset[i]['data_samples'] for i in range(2)]
    assert [s.metainfo['site'] for s in samples] == ['a', 'a']
    assert [s.metainfo['lesion_classes'] for s in samples] == [('polyp',), ()]
    assert [s.metainfo['sequence'] for s in samples] == [None, None]
    labels = samples[0].gt_sem_seg.data[0]
    assert labels.shape == SHAPE
    assert (labels[:, :4] == 0).all() and (labels[:, 4:] == 1).all()
    assert not samples[1].gt_sem_seg.data.any()


def test_the_sites_of_one_dataset_can_have_different_lesions(write):
    dataset = polyps_and_cysts(write)
    found = [dataset[i]['data_samples'].metainfo for i in range(2)]
    assert [(m['site'], m['lesion_classes']) for m in found] == [
        ('a', ('polyp',)),
        ('b', ('cyst',)),
    ]
    # Binary segmentation: lesion is lesion.
    assert dataset[1]['data_samples'].gt_sem_seg.data.max() == 1
    assert dataset.metainfo['classes'] == ('background', 'lesion')


@pytest.mark.reliability('silent', 'classes without a background')
def test_lesion_classes_that_the_metainfo_lists_get_their_own_labels(write):
    metainfo = dict(classes=('background', 'cyst', 'polyp'))
    dataset = polyps_and_cysts(write, metainfo=metainfo)
    labels = [
        set(dataset[i]['data_samples'].gt_sem_seg.data.unique().tolist())
        for i in (0, 1)
    ]
    assert labels == [{0, 2}, {0, 1}]


@pytest.mark.reliability('silent', 'a background that is not the first class')
@pytest.mark.parametrize(
    'classes',
    [
        ('polyp', 'ulcer', 'background'),
        ('polyp', 'ulcer'),
        ('lesion', 'background'),
        ('Background', 'polyp', 'ulcer'),
    ],
)
def test_a_background_that_is_not_the_first_class_is_an_error(write, classes):
    """Its label would still be 0, and the first class would count as background."""
    root = write('a', {'1.jpg': (0, 255)})
    sites = [dict(name='a', lesion_classes=[classes[1]])]
    with pytest.raises(SiteDataError, match=r"Write classes=\['background', '"):
        build(root, sites, metainfo=dict(classes=classes))


def test_duplicate_or_ignored_classes_are_an_error(write):
    root = write('a', {'1.jpg': (0, 255)})
    sites = [dict(name='a', lesion_classes=['polyp'])]
    twice = dict(classes=('background', 'polyp', 'polyp'))
    with pytest.raises(SiteDataError, match='twice'):
        build(root, sites, metainfo=twice)
    with pytest.raises(SiteDataError, match="ignore_index=1 is the label of 'lesion'"):
        build(root, ['a'], ignore_index=1)


@pytest.mark.parametrize('label', [-100, 256])
def test_an_ignored_label_that_no_mask_can_hold_is_an_error(write, label):
    """Labels have 8 bits: the first mask with ignored pixels would fail."""
    root = write('a', {'1.jpg': (0, 255)})
    with pytest.raises(SiteDataError, match=f'ignore_index={label}: .* from 2 to 255'):
        build(root, ['a'], ignore_index=label)


@pytest.mark.reliability(
    'silent', 'reduce_zero_label and other options that nothing reads'
)
@pytest.mark.parametrize(
    'option',
    [
        dict(reduce_zero_label=True),
        dict(ann_file='train.txt'),
        dict(img_suffix='.tif'),
        dict(seg_map_suffix='_mask.png'),
        dict(data_prefix=dict(img_path='pictures', seg_map_path='labels')),
    ],
)
def test_options_of_mmseg_without_effect_are_an_error(write, option):
    root = write('a', {'1.jpg': (0, 255)})
    with pytest.raises(SiteDataError, match=rf'{next(iter(option))}=.* no effect'):
        build(root, ['a'], **option)
    assert len(build(root, ['a'], reduce_zero_label=False)) == 1


def test_every_class_has_its_own_colour_unless_a_palette_is_given(write):
    root = write('a', {'1.jpg': (0, 255)})
    classes = ('background', 'lesion', 'x', 'y')
    palette = build(root, ['a'], metainfo=dict(classes=classes)).metainfo['palette']
    assert len(palette) == 4
    assert palette[:2] == [[0, 0, 0], [255, 170, 0]]
    assert len({tuple(colour) for colour in palette}) == 4
    # MMEngine also accepts a file with a class in each line.
    (root / 'classes.txt').write_text('\n'.join(classes))
    metainfo = dict(classes=str(root / 'classes.txt'))
    assert build(root, ['a'], metainfo=metainfo).metainfo['palette'] == palette
    given = [[1, 1, 1], [2, 2, 2]]
    metainfo = dict(classes=('background', 'lesion'), palette=given)
    assert build(root, ['a'], metainfo=metainfo).metainfo['palette'] == given


def test_index_masks_distinguish_several_lesions_of_an_image(write):
    root = write('a', {'1.jpg': (1, 2), '2.jpg': (0, 9), '3.jpg': (2, 9)})
    site = dict(
        name='a',
        lesion_classes=['polyp', 'cyst'],
        mask_values={0: 'background', 1: 'polyp', 2: 'cyst', 9: 'ignore'},
    )
    binary = build(root, [site])
    multi = build(root, [site], metainfo=dict(classes=('background', 'polyp', 'cyst')))
    for dataset, labels in (
        (binary, [(1, 1), (0, 255), (1, 255)]),
        (multi, [(1, 2), (0, 255), (2, 255)]),
    ):
        samples = [dataset[i]['data_samples'] for i in range(3)]
        rows = [s.gt_sem_seg.data[0, 0] for s in samples]
        assert [(int(r[0]), int(r[-1])) for r in rows] == labels
        classes = [s.metainfo['lesion_classes'] for s in samples]
        assert classes == [('polyp', 'cyst'), (), ('cyst',)]


def test_mask_values_can_be_written_as_strings(write):
    """As in JSON and in configs merged from the command line."""
    root = write('a', {'1.jpg': (0, 5)})
    site = dict(name='a', mask_values={'0': 'background', '5': 'lesion'})
    sample = build(root, [site])[0]['data_samples']
    assert sample.gt_sem_seg.data.max() == 1


def test_folders_can_have_other_names_than_the_site(write):
    root = write(
        'raw/frames_a', {'1.JPG': (0, 255)}, 'pictures', 'labels', suffix='.jpg'
    )
    site = dict(name='a', folder='raw/frames_a', img_dir='pictures', mask_dir='labels')
    dataset = build(root, [site])
    assert names(dataset) == ['a/1.JPG']
    assert dataset[0]['data_samples'].gt_sem_seg.data.max() == 1


def test_serialised_samples_equal_those_kept_as_they_are(write):
    root = write('a', {'1.jpg': (0, 255)})
    plain, packed = (build(root, ['a'], serialize_data=s) for s in (False, True))
    assert plain.get_data_info(0) == packed.get_data_info(0)


def test_several_datasets_can_be_concatenated(write):
    root = write('a', {'1.jpg': (0, 255)})
    write('b', {'1.jpg': (0, 0), '2.jpg': (255, 255)})
    joined = ConcatDataset([build(root, ['a']), build(root, ['b'])])
    samples = [joined[i]['data_samples'] for i in range(3)]
    assert [s.metainfo['site'] for s in samples] == ['a', 'b', 'b']
    assert [s.metainfo['lesion_classes'] for s in samples] == [
        ('lesion',),
        (),
        ('lesion',),
    ]
    assert joined.metainfo['classes'] == ('background', 'lesion')


def test_training_and_validation_parts_are_contiguous_blocks_of_every_site(write):
    root = write('a', numbered(10))
    write('b', numbered(5))
    parts = {
        s: names(build(root, ['a', 'b'], split=s)) for s in ('all', 'train', 'val')
    }
    assert parts['val'] == ['a/08.jpg', 'a/09.jpg', 'b/04.jpg']
    assert sorted(parts['train'] + parts['val']) == sorted(parts['all'])
    assert set(parts['train']).isdisjoint(parts['val'])
    assert names(build(root, ['a'], split='val', val_fraction=0.5)) == [
        f'a/0{i}.jpg' for i in range(5, 10)
    ]


def write_index(root, rows, columns=('site', 'image', 'sequence'), encoding='utf-8'):
    with (root / 'index.csv').open('w', newline='', encoding=encoding) as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_a_split_never_divides_a_sequence(write, encoding):
    """The second sequence is 07 to 09; without sequences, only 08 and 09 would be."""
    root = write('a', numbered(10))
    rows = [
        ('a', f'a/images/0{i}.jpg', 'first' if i < 7 else 'last') for i in range(10)
    ]
    write_index(root, rows, encoding=encoding)
    train = build(root, ['a'], split='train')
    val = build(root, ['a'], split='val')
    assert names(train) == [f'a/0{i}.jpg' for i in range(7)]
    assert names(val) == [f'a/0{i}.jpg' for i in range(7, 10)]
    assert val[0]['data_samples'].metainfo['sequence'] == 'last'


@pytest.mark.reliability(
    'silent', 'index rows that find no image, and a patient at the cut'
)
def test_index_rows_without_image_prevent_a_split_through_a_patient(write):
    """Images without rows would be split in blocks, possibly through a patient."""
    root = write('a', numbered(10))
    write_index(root, [('a', f'0{i}', 'pq'[i > 4]) for i in range(10)])
    assert names(build(root, ['a'], split='val')) == [
        f'a/0{i}.jpg' for i in (5, 6, 7, 8, 9)
    ]
    write_index(root, [('a', f'{i}', 'pq'[i > 4]) for i in range(10)])
    for split in ('train', 'val'):
        with pytest.raises(SiteDataError, match='10 of 10 images have no row'):
            build(root, ['a'], split=split)
    assert len(build(root, ['a'])) == 10


def test_a_split_keeps_all_sequences_of_a_patient_together(write):
    root = write('a', numbered(6))
    rows = [('a', f'0{i}.jpg', f's{i}', 'pq'[i // 3]) for i in range(6)]
    write_index(root, rows, ('site', 'image', 'sequence', 'patient'))
    assert names(build(root, ['a'], split='val')) == [
        'a/03.jpg',
        'a/04.jpg',
        'a/05.jpg',
    ]


def test_a_site_with_one_patient_is_split_by_its_sequences(write):
    root = write('a', numbered(6))
    rows = [('a', f'0{i}.jpg', f's{i // 2}', 'only') for i in range(6)]
    write_index(root, rows, ('site', 'image', 'sequence', 'patient'))
    val = build(root, ['a'], split='val', val_fraction=0.3)
    assert names(val) == ['a/04.jpg', 'a/05.jpg']
    assert val[0]['data_samples'].metainfo['sequence'] == 's2'


def test_an_index_can_name_a_site_by_its_folder(write):
    root = write('raw_a', numbered(10))
    rows = [('raw_a', f'0{i}.jpg', 'first' if i < 7 else 'last') for i in range(10)]
    write_index(root, rows)
    val = build(root, [dict(name='a', folder='raw_a')], split='val')
    assert names(val) == ['a/07.jpg', 'a/08.jpg', 'a/09.jpg']


def test_an_index_without_its_columns_is_an_error_naming_them(write):
    root = write('a', numbered(3))
    write_index(root, [('a', '00.jpg')], ('centre', 'file'))
    with pytest.raises(SiteDataError, match=r"index\.csv.*'site', 'image'.*'centre'"):
        build(root, ['a'])


def test_a_site_with_one_patient_and_no_sequences_cannot_be_split(write):
    root = write('a', numbered(4))
    write_index(root, [('a', f'0{i}.jpg', 'only') for i in range(4)])
    with pytest.raises(SiteDataError, match=r"site 'a': 4 images in 1 group"):
        build(root, ['a'], split='train')
    assert len(build(root, ['a'], split='all')) == 4


def test_max_images_takes_the_first_images_of_each_site(write):
    root = write('a', numbered(5))
    write('b', numbered(3))
    assert names(build(root, ['a', 'b'], max_images=2)) == [
        'a/00.jpg',
        'a/01.jpg',
        'b/00.jpg',
        'b/01.jpg',
    ]


def test_missing_masks_are_an_error_naming_the_images(write):
    root = write('a', {'1.jpg': (0, 255), '2.jpg': None, '3.jpg': None})
    with pytest.raises(
        SiteDataError, match=r"site 'a': 2 of 3 .*\['2\.jpg', '3\.jpg'\]"
    ):
        build(root, ['a'])


def test_a_missing_mask_folder_is_an_error_naming_it(write):
    root = write('a', {'1.jpg': None})
    (root / 'a' / 'masks').rmdir()
    with pytest.raises(SiteDataError, match=r'1 of 1 images have no mask.*a/masks'):
        build(root, ['a'])


def test_an_invalid_mask_is_an_error_naming_the_file(write):
    root = write('a', {'1.jpg': (0, 1)})
    with pytest.raises(MaskError, match=r'a/masks/1\.png: highest value is 1'):
        build(root, ['a'])[0]


@pytest.mark.parametrize(
    ('sites', 'message'),
    [
        ([], 'at least one'),
        (['a', 'a'], 'none twice'),
        (['a', dict(name='b', folder='a')], 'none twice'),
        ([dict(lesion_classes=['polyp'])], 'lacks a name'),
        ([dict(name='a', lesions=['polyp'])], r"unknown keys \['lesions'\]"),
        (['z'], r"site 'z': .*images is not a folder"),
        (
            [dict(name='a', mask_values={0: 'background', 1: 'cyst'})],
            r"mask_values of 'a' name \['cyst'\]",
        ),
        (
            [dict(name='a', lesion_classes=['polyp', 'cyst'])],
            r"site 'a' has several lesion classes .*Give mask_values",
        ),
        ([7], 'sites: 7 is neither a name nor a dict'),
        ([dict(name='a', mask_values={'x': 'lesion'})], "{'x': .* from numbers to"),
    ],
)
def test_unusable_sites_are_an_error_naming_them(write, sites, message):
    root = write('a', numbered(2))
    with pytest.raises(SiteDataError, match=message):
        build(root, sites)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(split='test'), r"split='test' must be one of .*'train'"),
        (dict(val_fraction=0), 'val_fraction=0 must lie in'),
        (dict(val_fraction=1.0), r'val_fraction=1\.0 must lie in'),
        (dict(data_root='/no/where'), r"'/no/where' is not a folder.*MCDRL_DATA_ROOT"),
        (
            dict(metainfo=dict(classes=('background', 'polyp'))),
            r"site 'a' has lesion classes \['lesion'\] without a label",
        ),
    ],
)
def test_unusable_arguments_are_an_error_naming_them(write, values, message):
    root = write('a', numbered(2))
    with pytest.raises(SiteDataError, match=message):
        build(root, ['a'], **values)


def test_a_site_without_images_is_an_error_naming_the_folder(write):
    root = write('a', {})
    with pytest.raises(SiteDataError, match=r"site 'a': no images in .*a/images"):
        build(root, ['a'])


REAL_SITES = {
    'polypgen_c1': (256, 5),
    'polypgen_c2': (301, 32),
    'polypgen_c3': (457, 1),
    'polypgen_c4': (227, 81),
    'endotect_kvasir': (200, 0),
    'vocalfolds_larynx': (58, 0),
}


@pytest.fixture(scope='module')
def manifest(data_root) -> list[dict]:
    with (data_root / 'manifest.csv').open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize('site', REAL_SITES)
def test_real_sites_have_the_published_numbers_of_images(data_root, site):
    dataset = build(data_root, [site])
    parts = [len(build(data_root, [site], split=split)) for split in ('train', 'val')]
    count, _ = REAL_SITES[site]
    assert len(dataset) == sum(parts) == count
    assert parts[1] == pytest.approx(0.2 * count, abs=0.5)


@pytest.mark.parametrize('site', REAL_SITES)
def test_real_sites_have_the_published_numbers_of_lesion_free_images(
    data_root, manifest, site
):
    rows = [row for row in manifest if row['site'] == site]
    free = {row['image'] for row in rows if float(row['foreground']) == 0}
    assert len(free) == REAL_SITES[site][1]
    dataset = build(data_root, [site], pipeline=[dict(type='LoadLesionMask')])
    for index, name in enumerate(names(dataset)):
        path = name.replace('/', '/images/')
        # Every fifth of the others is enough to see that they show a lesion.
        if path in free or index % 5 == 0:
            assert dataset[index]['lesion_classes'] == (
                () if path in free else ('lesion',)
            ), path


@pytest.mark.parametrize('site', ['polypgen_c1', 'vocalfolds_larynx'])
def test_real_masks_have_the_share_of_lesion_that_the_manifest_states(
    data_root, manifest, site
):
    share = {r['image']: float(r['foreground']) for r in manifest if r['site'] == site}
    dataset = build(data_root, [dict(name=site, lesion_classes=['polyp'])])
    for index, name in list(enumerate(names(dataset)))[::10]:
        labels = dataset[index]['data_samples'].gt_sem_seg.data
        expected = share[name.replace('/', '/images/')]
        assert float((labels == 1).float().mean()) == pytest.approx(expected, abs=1e-5)
        assert set(labels.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize('value', [None, 3, 'polyp', [1], {'polyp': 1}])
def test_lesion_classes_that_are_not_a_list_of_names_are_refused(value):
    with pytest.raises(SiteDataError, match=r"lesion_classes of 'a'.*list of names"):
        Site.from_cfg(dict(name='a', lesion_classes=value))
