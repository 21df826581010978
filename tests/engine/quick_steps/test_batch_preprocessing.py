"""Batches normalised at once, against MMSegmentation, which does it by image."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.models import data_preprocessor as module
from mmseg.structures import SegDataSample

from mcdrl_mmseg.engine.quick_steps.batch_preprocessing import (
    quick_batch_preprocessing,
)

CLIP = dict(
    mean=[122.77, 116.75, 104.09],
    std=[68.5, 66.63, 70.32],
    bgr_to_rgb=True,
    size_divisor=1,
)


def batch(sizes=((6, 8), (6, 8)), channels=3, labels='gt_sem_seg') -> dict:
    generator = torch.Generator().manual_seed(0)
    images, samples = [], []
    for size in sizes:
        shape = (channels, *size)
        images.append(torch.randint(256, shape, generator=generator, dtype=torch.uint8))
        mask = PixelData(data=torch.randint(2, (1, *size), generator=generator))
        samples.append(SegDataSample(metainfo=dict(img_path='a.png'), **{labels: mask}))
    return dict(inputs=images, data_samples=samples)


@pytest.fixture
def stacked(monkeypatch) -> list:
    """One entry each time mmseg stacks a batch itself."""
    stock, calls = module.stack_batch, []

    def noted(*args, **kwargs):
        calls.append(1)
        return stock(*args, **kwargs)

    monkeypatch.setattr(module, 'stack_batch', noted)
    return calls


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    assert found['inputs'].dtype == expected['inputs'].dtype == torch.float32
    assert torch.equal(found['inputs'], expected['inputs'])
    for one, other in zip(found['data_samples'], expected['data_samples'], strict=True):
        assert one.metainfo == other.metainfo
        assert one.keys() == other.keys()
        for name, mask in one.items():
            assert torch.equal(mask.data, other.get(name).data)


@pytest.mark.parametrize(
    'settings',
    [
        CLIP,
        {**CLIP, 'bgr_to_rgb': False, 'rgb_to_bgr': True},
        dict(size_divisor=2),
        dict(size=(6, 8)),
        dict(size=(4, 4), mean=[1, 2, 3], std=[1, 2, 4]),
    ],
    ids=['CLIP', 'the other way', 'not normalised', 'of a size', 'above a size'],
)
def test_quick_preprocessing_equals_that_of_mmseg_to_the_last_bit(settings, stacked):
    preprocessor = SegDataPreProcessor(**settings)
    expected = preprocessor(batch(), training=True)
    assert len(stacked) == 1
    with quick_batch_preprocessing():
        found = preprocessor(batch(), training=True)
    assert len(stacked) == 1
    assert_same(found, expected)


def test_the_channels_of_one_channel_images_are_not_swapped(stacked):
    settings = dict(mean=[9], std=[2], bgr_to_rgb=False, size_divisor=1)
    preprocessor = SegDataPreProcessor(**settings)
    # The names in both versions of mmseg.
    preprocessor._channel_conversion = preprocessor.channel_conversion = True
    expected = preprocessor(batch(channels=1), training=True)
    with quick_batch_preprocessing():
        assert_same(preprocessor(batch(channels=1), training=True), expected)
    assert len(stacked) == 1


@pytest.mark.parametrize('name', ['channel_conversion', '_channel_conversion'])
def test_channels_are_swapped_under_the_attribute_name_of_either_mmseg_version(name):
    preprocessor = SegDataPreProcessor(**CLIP)
    expected = preprocessor(batch(), training=True)
    vars(preprocessor).pop('_channel_conversion', None)
    vars(preprocessor).pop('channel_conversion', None)
    setattr(preprocessor, name, True)
    with quick_batch_preprocessing():
        assert_same(preprocessor(batch(), training=True), expected)


def test_the_given_batch_is_not_changed():
    given = batch()
    with quick_batch_preprocessing():
        SegDataPreProcessor(**CLIP)(given, training=True)
    assert given['inputs'][0].dtype == torch.uint8
    assert given['data_samples'][0].metainfo == dict(img_path='a.png')


@pytest.mark.parametrize(
    ('settings', 'data'),
    [
        (CLIP, dict(sizes=((6, 8), (5, 8)))),
        ({**CLIP, 'size_divisor': 4}, {}),
        (dict(size=(6, 9)), {}),
        (CLIP, dict(labels='gt_edge_map')),
    ],
    ids=['two sizes', 'padded by a divisor', 'padded to a size', 'edges'],
)
def test_batches_that_need_padding_are_left_to_mmseg(settings, data, stacked):
    preprocessor = SegDataPreProcessor(**settings)
    expected = preprocessor(batch(**data), training=True)
    with quick_batch_preprocessing():
        assert_same(preprocessor(batch(**data), training=True), expected)
    assert len(stacked) == 2


def test_grey_images_are_normalised_to_three_channels_as_in_mmseg():
    preprocessor = SegDataPreProcessor(**CLIP)
    expected = preprocessor(batch(channels=1), training=True)
    assert expected['inputs'].shape[1] == 3
    with quick_batch_preprocessing():
        assert_same(preprocessor(batch(channels=1), training=True), expected)


def test_inference_is_left_to_mmseg(monkeypatch):
    calls = []
    monkeypatch.setattr(
        SegDataPreProcessor, 'forward', lambda *args: calls.append(args[1:])
    )
    with quick_batch_preprocessing():
        SegDataPreProcessor(**CLIP)(dict(inputs=[]), False)
    assert calls == [(dict(inputs=[]), False)]


def test_settings_that_mmseg_refuses_are_refused():
    with (
        quick_batch_preprocessing(),
        pytest.raises(AssertionError, match='only one of'),
    ):
        SegDataPreProcessor(size=(6, 8), size_divisor=2)(batch(), training=True)


def test_the_forward_pass_of_mmseg_is_restored_even_after_an_error():
    stock = SegDataPreProcessor.forward
    with pytest.raises(KeyError), quick_batch_preprocessing():
        assert SegDataPreProcessor.forward is not stock
        raise KeyError
    assert SegDataPreProcessor.forward is stock
