import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.testing import assert_close

STOCK = dict(mean=[10.0, 20, 30], std=[2.0, 4, 8], bgr_to_rgb=True, size_divisor=1)


@MODELS.register_module(force=True)
class _Negative(torch.nn.Module):
    def forward(self, images):
        return -images


@pytest.fixture(scope='module', autouse=True)
def registered():
    yield
    MODELS.module_dict.pop('_Negative')


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 8, 10), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 2, (1, 8, 10), generator=generator)
    sample = SegDataSample(gt_sem_seg=PixelData(data=labels))
    return dict(inputs=[image, image // 2], data_samples=[sample, sample.clone()])


def build(augmentation):
    return MODELS.build(
        dict(type='AugmentingDataPreProcessor', augmentation=augmentation, **STOCK)
    )


def stock(batch, training):
    return MODELS.build(dict(type='SegDataPreProcessor', **STOCK))(batch, training)


def test_training_images_are_augmented_after_normalisation(batch):
    found = build(dict(type='_Negative'))(batch, training=True)
    assert_close(found['inputs'], -stock(batch, True)['inputs'])


def test_test_images_are_not_augmented(batch):
    found = build(dict(type='_Negative'))(batch, training=False)
    assert_close(found['inputs'], stock(batch, False)['inputs'])


def test_labels_are_not_augmented(batch):
    found = build(dict(type='CausalAugmentation'))(batch, training=True)
    for sample, before in zip(found['data_samples'], batch['data_samples']):
        assert torch.equal(sample.gt_sem_seg.data, before.gt_sem_seg.data)
    assert found['inputs'].shape == (2, 3, 8, 10)
    assert not torch.allclose(found['inputs'], stock(batch, True)['inputs'])
