"""Two crops of an image, with a lesion and without, of the same size."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mcdrl_common.classes_file import read_classes
from mcdrl_common.sites import Site, SiteFolders
from mcdrl_lab.commands import main
from mcdrl_lab.errors import ConversionError
from mcdrl_lab.simulation.crop_pairs import write_crop_pairs
from mcdrl_lab.simulation.drawn_sites import DrawnSites, write_drawn_sites

HEIGHT, WIDTH = 60, 80


def add(root: Path, site: str, name: str, mask: np.ndarray) -> None:
    """An image whose channels encode the place of a pixel, and whether it is lesion."""
    for folder in ('images', 'masks'):
        (root / site / folder).mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([rows + 100, columns + 100, np.where(mask, 240, 120)], axis=2)
    # OpenCV has blue first: red says where the lesion is.
    cv2.imwrite(str(root / site / 'images' / f'{name}.png'), image.astype(np.uint8))
    cv2.imwrite(str(root / site / 'masks' / f'{name}.png'), mask)


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[rows, columns] = 255
    return mask


@pytest.fixture
def source(tmp_path) -> Path:
    root = tmp_path / 'sites'
    for site in ('a', 'b'):
        for n in range(4):
            add(root, site, f'{n}', box(slice(0, 12), slice(16 * n, 16 * n + 16)))
    return root


def read(out: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    image = cv2.imread(str(out / 'a' / 'images' / f'{name}.jpg'))
    mask = cv2.imread(str(out / 'a' / 'masks' / f'{name}.png'), cv2.IMREAD_UNCHANGED)
    return image, mask


def test_one_crop_shows_the_lesion_and_the_other_none_of_it(source, tmp_path):
    assert write_crop_pairs(source, tmp_path / 'out') == {'a': 4, 'b': 4}
    for n in range(4):
        image, mask = read(tmp_path / 'out', f'{n}_lesion')
        # Half of 12 x 16 pixels at least.
        assert set(np.unique(mask)) == {0, 255} and (mask > 0).sum() >= 96
        # The mask lies where the image shows it, but for the blur of JPEG.
        assert (((image[..., 2] > 180) == (mask > 0)).mean()) > 0.97
        healthy, empty = read(tmp_path / 'out', f'{n}_free')
        assert not empty.any() and (healthy[..., 2] < 180).all()


def test_both_crops_have_the_same_size_of_0_4_to_0_6_of_the_image(source, tmp_path):
    write_crop_pairs(source, tmp_path / 'out')
    sizes = set()
    for n in range(4):
        shapes = {
            array.shape[:2]
            for kind in ('free', 'lesion')
            for array in read(tmp_path / 'out', f'{n}_{kind}')
        }
        ((height, width),) = shapes
        assert 24 <= height <= 36 and 32 <= width <= 48
        sizes.add((height, width))
    assert len(sizes) > 1


def test_an_image_without_room_for_both_is_left_out(source, tmp_path):
    add(source, 'a', 'healthy', box(slice(0, 0), slice(0, 0)))
    add(source, 'a', 'full', box(slice(0, 60), slice(0, 80)))
    # In the middle, where every crop of 0.6 shows a part of it.
    add(source, 'a', 'middle', box(slice(20, 40), slice(25, 55)))
    pairs = write_crop_pairs(source, tmp_path / 'out')
    assert pairs['a'] == 4
    names = {path.stem for path in (tmp_path / 'out' / 'a' / 'images').iterdir()}
    assert names == {f'{n}_{kind}' for n in range(4) for kind in ('free', 'lesion')}


def test_a_site_without_any_pair_is_named(source, tmp_path):
    add(source, 'c', 'healthy', box(slice(0, 0), slice(0, 0)))
    with pytest.raises(ConversionError, match='sites/c: no image has room'):
        write_crop_pairs(source, tmp_path / 'out')


def test_a_second_call_changes_nothing_and_another_seed_is_refused(source, tmp_path):
    out = tmp_path / 'out'
    write_crop_pairs(source, out)
    before = {path: path.read_bytes() for path in out.rglob('*.png')}
    write_crop_pairs(source, out)
    assert {path: path.read_bytes() for path in out.rglob('*.png')} == before
    with pytest.raises(ConversionError, match='already exists and would change'):
        write_crop_pairs(source, out, seed=1)


def test_the_command_counts_pairs_and_names_a_folder_without_sites(
    source, tmp_path, capsys
):
    assert main(['crop-pairs', str(source), str(tmp_path / 'out')]) == 0
    assert capsys.readouterr().out == 'a: 4 pairs\nb: 4 pairs\n'
    assert main(['crop-pairs', str(tmp_path / 'none'), str(tmp_path / 'new')]) == 2
    assert 'none' in capsys.readouterr().err


def test_crops_have_the_patient_and_sequence_of_their_image(source, tmp_path):
    rows = [f'a,{n}.png,v{n},p{n // 2}' for n in range(4)]
    (source / 'index.csv').write_text('\n'.join(['site,image,sequence,patient', *rows]))
    out = tmp_path / 'out'
    write_crop_pairs(source, out)
    lines = (out / 'index.csv').read_text().splitlines()
    assert lines[:3] == [
        'site,image,sequence,patient',
        'a,a/images/0_free.jpg,v0,p0',
        'a,a/images/0_lesion.jpg,v0,p0',
    ]
    assert lines[8:10] == ['a,a/images/3_lesion.jpg,v3,p1', 'b,b/images/0_free.jpg,0,']
    # Another call changes nothing.
    write_crop_pairs(source, out)
    (out / 'index.csv').write_text('site,image,sequence,patient\n')
    with pytest.raises(ConversionError, match=r'index\.csv already exists'):
        write_crop_pairs(source, out)


def test_crops_of_one_image_share_a_sequence_without_an_index(source, tmp_path):
    out = tmp_path / 'out'
    write_crop_pairs(source, out)
    sites = SiteFolders(out, [Site('a'), Site('b')], split='val', val_fraction=0.4)
    held = [
        (sample['site'], Path(sample['img_path']).stem, sample['sequence'])
        for sample in sites.samples()
    ]
    # The fraction asks for 3 of 8 crops, which would split a pair.
    assert held == [
        (site, f'{n}_{kind}', str(n))
        for site in 'ab'
        for n in (2, 3)
        for kind in ('free', 'lesion')
    ]


def test_an_image_without_sequence_and_patient_is_a_sequence_of_its_own(
    source, tmp_path
):
    rows = ['a,0.png,v0,', 'a,1.png,,p1', 'a,2.png,,', 'a,3.png,,']
    (source / 'index.csv').write_text('\n'.join(['site,image,sequence,patient', *rows]))
    write_crop_pairs(source, tmp_path / 'out')
    lines = (tmp_path / 'out/index.csv').read_text().splitlines()
    assert lines[1:6:2] == [
        'a,a/images/0_free.jpg,v0,',
        'a,a/images/1_free.jpg,,p1',
        'a,a/images/2_free.jpg,2,',
    ]


def test_ignored_pixels_stay_ignored(source, tmp_path):
    """In the crops, and in copies of these with drawn conditions."""
    names = {'0': 'background', '1': 'polyp', '2': 'cancer', '255': 'ignore'}
    for classes, lesion in (((0, 1, 255), 'polyp'), ((0, 1, 2, 255), 'lesion')):
        root = source / lesion
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:12, :16], mask[12:16, :16] = classes[-2], 255
        for site in ('a', 'b'):
            add(root, site, '0', mask)
            text = json.dumps({'mask_values': {str(v): names[str(v)] for v in classes}})
            (root / site / 'classes.json').write_text(text)
        crops, drawn = tmp_path / f'{lesion}_crops', tmp_path / f'{lesion}_drawn'
        write_crop_pairs(root, crops)
        write_drawn_sites(DrawnSites('b', goes_with='presence', size=64), crops, drawn)
        for out in (crops, drawn):
            values = read_classes(out / 'a')
            assert values == {0: 'background', 1: lesion, 255: 'ignore'}
            mask = read(out, '0_lesion')[1]
            assert set(np.unique(mask)) == {0, 1, 255}
            # 4 rows beside 12 of lesion, except for what the crop leaves out.
            assert 0 < (mask == 255).sum() <= (mask == 1).sum()
            assert not read(out, '0_free')[1].any()


def test_an_index_that_lacks_images_is_refused_as_in_training(source, tmp_path):
    rows = [f'{site},{n}.png,p{n // 2}' for site in 'ab' for n in range(4)]
    text = '\n'.join(['site,image,patient', *rows[:-1]])
    (source / 'index.csv').write_text(text)
    with pytest.raises(ConversionError, match="site 'b': 1 of 4 images have no"):
        write_crop_pairs(source, tmp_path / 'out')


@pytest.mark.parametrize(
    'command', ['crop-pairs', 'draw-conditions --held-out a --size 32']
)
def test_a_negative_seed_is_refused_in_one_line(source, tmp_path, capsys, command):
    out = tmp_path / 'out'
    arguments = [*command.split(), '--seed', '-1', str(source), str(out)]
    assert main(arguments) == 2
    assert capsys.readouterr().err == 'error: --seed -1: expected 0 or more.\n'
    assert not out.exists() or not list(out.iterdir())
