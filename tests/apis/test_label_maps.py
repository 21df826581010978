from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mcdrl_common.written_files import OutputError
from mcdrl_mmseg.apis.label_maps import LabelMapHook


class Images:
    """As much of a dataset as the hook needs."""

    def __init__(self, root, names):
        self.samples = [
            dict(
                img_path=str(root / name),
                seg_map_path=str(root / name).replace('images', 'masks'),
            )
            for name in names
        ]

    def __len__(self):
        return len(self.samples)

    def get_data_info(self, index):
        return self.samples[index]


@pytest.fixture
def tested(tmp_path):
    """Tests images; each label map holds the position of its image, from 1."""

    def run(*names, out='out', **metainfo):
        dataset = Images(tmp_path, names)
        runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=dataset))
        hook = LabelMapHook(str(tmp_path / out))
        hook.before_test(runner)
        samples = []
        for number, info in enumerate(dataset.samples, start=1):
            sample = SegDataSample(metainfo={**info, **metainfo})
            labels = torch.full((1, 2, 3), number)
            sample.pred_sem_seg = PixelData(data=labels)
            samples.append(sample)
        hook.after_test_iter(runner, 0, outputs=samples)
        folder = tmp_path / out
        return {
            path.relative_to(folder).as_posix(): cv2.imread(str(path), -1)
            for path in folder.rglob('*.png')
        }

    return run


def numbers(maps):
    assert all(each.shape == (2, 3) for each in maps.values())
    return {name: np.unique(each).tolist() for name, each in maps.items()}


def test_label_maps_of_equal_image_names_at_two_sites_are_all_written(tested):
    found = tested('a/images/1.jpg', 'a/images/2.jpg', 'b/images/1.jpg')
    assert numbers(found) == {
        'a/images/1.png': [1],
        'a/images/2.png': [2],
        'b/images/1.png': [3],
    }


def test_label_maps_have_the_names_of_their_images_if_these_are_unique(tested):
    found = tested('a/images/1.jpg', 'b/images/2.jpg')
    assert numbers(found) == {'1.png': [1], '2.png': [2]}


def test_label_maps_of_images_that_differ_only_in_their_ending_keep_it(tested):
    found = tested('images/1.jpg', 'images/1.png')
    assert numbers(found) == {'1.jpg.png': [1], '1.png.png': [2]}


def test_label_maps_hold_the_numbers_of_the_masks_with_reduce_zero_label(tested):
    assert numbers(tested('1.jpg', reduce_zero_label=True)) == {'1.png': [2]}


def test_label_maps_of_an_earlier_test_are_replaced(tested):
    tested('1.jpg', '2.jpg')
    assert numbers(tested('2.jpg', '1.jpg')) == {'1.png': [2], '2.png': [1]}


def test_masks_are_never_replaced_by_label_maps(tested, tmp_path):
    mask = tmp_path / 'masks' / '1.png'
    mask.parent.mkdir()
    cv2.imwrite(str(mask), np.full((2, 3), 7, np.uint8))
    with pytest.raises(OutputError, match='an input; results never replace inputs'):
        tested('images/1.png', out='masks')
    assert (cv2.imread(str(mask), -1) == 7).all()


def test_files_of_others_are_never_replaced_by_label_maps(tested, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / '1.png').write_text('mine')
    with pytest.raises(OutputError, match='not written here by an earlier run'):
        tested('1.jpg')
    assert (tmp_path / 'out' / '1.png').read_text() == 'mine'
