"""Two crops of an image: with a lesion and without, of one size."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ConversionError
from mcdrl_lab.simulation.crop_pairs import write_crop_pairs

HEIGHT, WIDTH = 60, 80


def add(root: Path, site: str, name: str, mask: np.ndarray) -> None:
    """An image whose channels say where a pixel lies, and whether it is lesion."""
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


def test_both_crops_have_the_same_size_of_0_4_to_0_6(source, tmp_path):
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
    with pytest.raises(ConversionError, match='is there already and would change'):
        write_crop_pairs(source, out, seed=1)


def test_the_command_counts_pairs_and_names_a_folder_without_sites(
    source, tmp_path, capsys
):
    assert main(['crop-pairs', str(source), str(tmp_path / 'out')]) == 0
    assert capsys.readouterr().out == 'a: 4 pairs\nb: 4 pairs\n'
    assert main(['crop-pairs', str(tmp_path / 'none'), str(tmp_path / 'new')]) == 2
    assert 'none' in capsys.readouterr().err


def test_crops_are_of_the_patient_of_their_image(source, tmp_path):
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
    assert lines[-1] == 'a,a/images/3_lesion.jpg,v3,p1' and len(lines) == 9
    # Another call changes nothing.
    write_crop_pairs(source, out)
    (out / 'index.csv').write_text('site,image,sequence,patient\n')
    with pytest.raises(ConversionError, match=r'index\.csv is there already'):
        write_crop_pairs(source, out)


def test_without_an_index_none_is_written(source, tmp_path):
    write_crop_pairs(source, tmp_path / 'out')
    assert not (tmp_path / 'out/index.csv').exists()
