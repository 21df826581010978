import numpy as np
import pytest
from mmengine.dataset import RepeatDataset
from mmengine.registry import init_default_scope
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mcdrl_mmseg.datasets.ignored_lesions import ignored_lesions


@pytest.fixture
def stock_data(tmp_path):
    """Makes a stock dataset of mmseg whose masks have these values."""
    init_default_scope('mmseg')

    def make(*values, loader='LoadAnnotations', **options):
        for folder in ('images', 'masks'):
            (tmp_path / folder).mkdir()
        for number, value in enumerate(values):
            mask = np.zeros((8, 8), np.uint8)
            mask[2:4, 2:4] = value
            Image.fromarray(mask).save(tmp_path / f'masks/{number}.png')
            Image.fromarray(mask).save(tmp_path / f'images/{number}.jpg')
        return BaseSegDataset(
            data_root=str(tmp_path),
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            metainfo=dict(classes=('background', 'polyp')),
            pipeline=[dict(type=loader)],
            **options,
        )

    return make


@pytest.mark.parametrize('repeated', [False, True])
def test_masks_of_0_and_255_are_reported_as_ignored_lesions(
    stock_data, tmp_path, repeated
):
    dataset = stock_data(0, 255, 255)
    if repeated:
        dataset = RepeatDataset(dataset, times=2)
    message = ignored_lesions(dataset)
    assert message.startswith('The 3 training masks')
    assert str(tmp_path / 'masks/0.png') in message
    assert 'Write labels into the masks' in message


@pytest.mark.parametrize(
    ('values', 'loader'),
    [
        ((0, 255, 1), 'LoadAnnotations'),
        ((0, 0), 'LoadAnnotations'),
        ((255, 255), 'LoadLesionMask'),
        # Of 130 masks, every second one is checked first.
        ((255, 1) + 128 * (0,), 'LoadAnnotations'),
    ],
    ids=['some are labels', 'no lesion at all', 'read as lesion', 'one label of many'],
)
def test_masks_whose_lesions_are_not_ignored_are_accepted(stock_data, values, loader):
    assert ignored_lesions(stock_data(*values, loader=loader)) is None


@pytest.mark.parametrize('values', [(0, 1, 1), (1, 255)])
def test_lesions_that_reduce_zero_label_turns_into_background_are_reported(
    stock_data, values
):
    dataset = stock_data(*values, reduce_zero_label=True)
    message = ignored_lesions(dataset)
    assert "turns 1 into the first class, 'background'" in message
    assert 'Set reduce_zero_label=False' in message
    loaded = [dataset[n]['gt_seg_map'] for n in range(len(values))]
    assert set(np.unique(loaded).tolist()) <= {0, 255}


def test_masks_that_begin_at_1_are_accepted_with_reduce_zero_label(stock_data):
    assert ignored_lesions(stock_data(1, 2, reduce_zero_label=True)) is None
