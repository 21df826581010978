import csv
import json
import shutil

import cv2
import numpy as np
import pytest
from made_data import files_below
from mmengine.registry import init_default_scope

from mcdrl_lab.errors import ConversionError
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.hospitals import SITES, Conditions
from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import CONFOUNDERS, LESION_CLASSES, MASK_VALUES
from mcdrl_lab.simulation.simulated_sites import Benchmark, write_benchmark
from mcdrl_mmseg.datasets import EndoscopySiteDataset

SMALL = Benchmark(images_per_site=6, size=48, spurious=0.8, seed=3)


def rows(path):
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp('endosim')
    assert write_benchmark(SMALL, out) == dict.fromkeys(SITES, 'written')
    return out


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / 'copy')


def test_every_site_has_images_masks_and_classes(written):
    names = {f'{number:05d}.png' for number in range(6)}
    for site in SITES:
        for part in ('images', 'masks'):
            assert {p.name for p in (written / site / part).iterdir()} == names
        classes = json.loads((written / site / 'classes.json').read_text())
        assert classes['mask_values'] == {str(k): v for k, v in MASK_VALUES.items()}


def test_files_hold_the_image_and_mask_drawn_from_their_scene(written):
    image, mask = draw(SMALL.scene('endosim_d', 4), size=48)
    folder = written / 'endosim_d'
    stored = cv2.imread(str(folder / 'images' / '00004.png'))[..., ::-1]
    labels = cv2.imread(str(folder / 'masks' / '00004.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored, image) and np.array_equal(labels, mask)


def test_the_table_of_confounders_agrees_with_the_scenes(written):
    table = rows(written / 'confounders.csv')
    assert len(table) == 6 * len(SITES)
    for number, row in enumerate(table):
        scene = SMALL.scene(row['site'], number % 6)
        assert row['image'] == f'{row["site"]}/images/{number % 6:05d}.png'
        assert row['lesion_class'] == (scene.lesion.name if scene.lesion else '')
        for name, strength in scene.confounders.items():
            assert float(row[name]) == pytest.approx(strength, abs=1e-6)
        assert row['blood_on_lesion'] == str(int(scene.placements['blood'].on_lesion))
    assert list(table[0])[3:15] == list(CONFOUNDERS)


def test_the_index_lists_the_classes_and_foreground_shares_of_the_masks(written):
    for row in rows(written / 'index.csv'):
        mask = cv2.imread(str(written / row['mask']), cv2.IMREAD_UNCHANGED)
        present = [MASK_VALUES[v] for v in np.unique(mask).tolist() if v]
        assert row['classes'].split(';') == (present or [''])
        assert float(row['foreground']) == pytest.approx((mask > 0).mean(), abs=1e-6)
        assert (row['height'], row['width']) == ('48', '48')


def test_a_second_run_changes_nothing(copied):
    before = files_below(copied)
    times = {p: p.stat().st_mtime_ns for p in copied.rglob('*.*')}
    assert write_benchmark(SMALL, copied) == dict.fromkeys(SITES, 'up to date')
    assert files_below(copied) == before
    assert {p: p.stat().st_mtime_ns for p in copied.rglob('*.*')} == times


def test_a_killed_run_is_completed_by_the_next(copied, written):
    for name in ('endosim.json', 'confounders.csv', 'index.csv'):
        (copied / name).unlink()
    shutil.rmtree(copied / 'endosim_c')
    (copied / '.converting-left').mkdir()
    states = write_benchmark(SMALL, copied)
    assert [site for site in SITES if states[site] == 'written'] == ['endosim_c']
    assert files_below(copied) == files_below(written)


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'seed': 4}, 'seed=3.*seed=4'),
        ({'spurious': 0.5}, 'spurious=0.8.*spurious=0.5'),
        ({'images_per_site': 7}, 'images_per_site=6.*images_per_site=7'),
        ({'size': 64}, 'size=48.*size=64'),
        ({'lesion_places': 'anywhere'}, 'lesion_places=central.*=anywhere'),
        ({'pairing': 2}, 'pairing=0.*pairing=2'),
    ],
)
def test_other_parameters_in_the_same_folder_are_refused(copied, change, named):
    before = files_below(copied)
    other = Benchmark(
        **{'images_per_site': 6, 'size': 48, 'spurious': 0.8, 'seed': 3, **change}
    )
    with pytest.raises(ConversionError, match=named):
        write_benchmark(other, copied)
    assert files_below(copied) == before


def test_a_site_that_differs_is_not_replaced(copied):
    changed = copied / 'endosim_b' / 'masks' / '00002.png'
    changed.write_bytes(b'mine')
    before = files_below(copied)
    with pytest.raises(ConversionError, match=r'endosim_b.*masks/00002\.png'):
        write_benchmark(SMALL, copied)
    assert files_below(copied) == before


def test_a_folder_of_the_same_name_from_elsewhere_is_not_touched(tmp_path):
    (tmp_path / 'endosim_a').mkdir()
    (tmp_path / 'endosim_a' / 'notes.txt').write_text('mine')
    with pytest.raises(ConversionError, match='endosim_a'):
        write_benchmark(SMALL, tmp_path)
    assert files_below(tmp_path) == {'.lock': b'', 'endosim_a/notes.txt': b'mine'}


def test_other_sites_in_the_folder_keep_their_index_rows(written, tmp_path):
    header = (written / 'index.csv').read_text().splitlines()[0]
    row = 'ward,ward/images/1.png,ward/masks/1.png,,,polyp,0.1,8,8,,'
    (tmp_path / 'index.csv').write_text(f'{header}\n{row}\n')
    write_benchmark(SMALL, tmp_path)
    table = rows(tmp_path / 'index.csv')
    assert [r['image'] for r in table if r['site'] == 'ward'] == ['ward/images/1.png']
    assert len(table) == 1 + 6 * len(SITES)


def test_the_parameters_of_a_folder_can_be_read(written, tmp_path):
    assert Benchmark.read(written) == SMALL
    with pytest.raises(ConversionError, match=r'endosim\.json'):
        Benchmark.read(tmp_path)
    (tmp_path / 'endosim.json').write_text('{"seed": 1}')
    with pytest.raises(ConversionError, match='not the parameters'):
        Benchmark.read(tmp_path)


def test_the_parameter_file_without_newer_options_has_its_original_form(written):
    assert (written / 'endosim.json').read_text() == (
        '{\n "drawing_version": 2,\n "images_per_site": 6,\n "size": 48,\n'
        ' "spurious": 0.8,\n "seed": 3\n}\n'
    )


def test_lesion_places_and_pairing_are_written_and_read(tmp_path):
    benchmark = Benchmark(3, 32, 1.0, 3, lesion_places='anywhere', pairing=1)
    write_benchmark(benchmark, tmp_path)
    values = json.loads((tmp_path / 'endosim.json').read_text())
    assert (values['lesion_places'], values['pairing']) == ('anywhere', 1)
    assert Benchmark.read(tmp_path) == benchmark
    scene = benchmark.scene('endosim_b', 2)
    conditions = Conditions('endosim_b', 1.0, 1)
    assert scene == sample_scene(3, 2, conditions, 'anywhere')
    stored = cv2.imread(
        str(tmp_path / 'endosim_b/masks/00002.png'), cv2.IMREAD_UNCHANGED
    )
    assert np.array_equal(stored, draw(scene, size=32)[1])


def test_a_data_set_of_another_drawing_version_is_refused(written, tmp_path):
    values = json.loads((written / 'endosim.json').read_text())
    (tmp_path / 'endosim.json').write_text(json.dumps({**values, 'drawing_version': 0}))
    with pytest.raises(ConversionError, match='version 0'):
        Benchmark.read(tmp_path)


@pytest.mark.parametrize(
    ('values', 'named'),
    [
        ({'images_per_site': 0}, '--images-per-site 0'),
        ({'size': 16}, '--size 16'),
        ({'spurious': 1.2}, r'--spurious 1\.2'),
        ({'spurious': float('nan')}, '--spurious nan'),
        ({'seed': -1}, '--seed -1'),
        ({'seed': 2**32}, '--seed 4294967296'),
        ({'lesion_places': 'up'}, '--lesion-places up: expected one of'),
        ({'pairing': -1}, '--pairing -1'),
    ],
)
def test_values_out_of_range_are_refused(values, named):
    with pytest.raises(ConversionError, match=named):
        Benchmark(**values)


def test_the_data_set_class_reads_the_lesion_of_every_image(written):
    sites = [
        dict(name=site, lesion_classes=LESION_CLASSES, mask_values=MASK_VALUES)
        for site in SITES
    ]
    init_default_scope('mmseg')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadLesionMask')]
    dataset = EndoscopySiteDataset(
        data_root=str(written), sites=sites, pipeline=pipeline
    )
    truth = {row['image']: row for row in rows(written / 'confounders.csv')}
    assert len(dataset) == len(truth)
    for sample in dataset:
        name = sample['img_path'].removeprefix(f'{written}/')
        row = truth[name]
        assert sample['site'] == row['site']
        expected = (row['lesion_class'],) if row['lesion_class'] else ()
        assert sample['lesion_classes'] == expected
        labels = set(np.unique(sample['gt_seg_map']).tolist())
        assert labels == ({0, 1} if expected else {0})


def test_with_a_label_for_every_class_masks_are_read_as_they_are(written):
    init_default_scope('mmseg')
    classes = ('background', *LESION_CLASSES)
    dataset = EndoscopySiteDataset(
        data_root=str(written),
        sites=[
            dict(
                name='endosim_a', lesion_classes=LESION_CLASSES, mask_values=MASK_VALUES
            )
        ],
        metainfo=dict(classes=classes, palette=[[k, k, k] for k in range(6)]),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadLesionMask')],
    )
    for number, sample in enumerate(dataset):
        mask = draw(SMALL.scene('endosim_a', number), size=48)[1]
        assert np.array_equal(sample['gt_seg_map'], mask)
