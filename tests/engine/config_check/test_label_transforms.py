import random

import numpy as np
import pytest
from mmseg.datasets.transforms import RandomRotFlip

from mcdrl_mmseg.engine.config_check import find_problems

CLASSES = ['background', 'polyp', 'cyst']


@pytest.fixture
def with_step(shipped):
    """Finds the problems of a config with an additional training step."""

    def find(classes, **step):
        cfg = shipped('mcdrl')
        dataset = cfg.train_dataloader.dataset
        step = {'type': 'RandomRotFlip', **step}
        dataset.pipeline = [*dataset.pipeline[:-1], step, dataset.pipeline[-1]]
        dataset.metainfo = dict(classes=classes)
        found = find_problems(cfg)
        return [each for each in found if 'rotate_prob' in each.place]

    return find


@pytest.mark.parametrize('options', [{}, dict(rotate_prob=0.3)])
def test_a_rotation_that_interpolates_several_classes_is_refused(with_step, options):
    (problem,) = with_step(CLASSES, **options)
    assert problem.place.startswith('train_dataloader.dataset.pipeline[')
    assert f'is {options.get("rotate_prob", 0.5)}: RandomRotFlip' in problem.what
    assert 'RandomRotate' in problem.remedy


def test_flips_alone_two_classes_and_other_steps_are_accepted(with_step):
    assert not with_step(CLASSES, rotate_prob=0)
    assert not with_step(CLASSES[:2])
    assert not with_step(CLASSES, type='RandomRotate', prob=0.5, degree=20)


@pytest.mark.parametrize(('lesions', 'kept'), [([1], True), ([1, 5], False)])
def test_mmseg_still_interpolates_several_classes_when_it_rotates(lesions, kept):
    """Otherwise the rule can be removed."""
    random.seed(0)
    np.random.seed(0)
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 20:40], labels[30:60, 40:50] = lesions[0], lesions[-1]
    step = RandomRotFlip(rotate_prob=1, flip_prob=0)
    sample = dict(img=labels.copy(), gt_seg_map=labels, seg_fields=['gt_seg_map'])
    found = set(np.unique(step.transform(sample)['gt_seg_map']).tolist())
    assert (found <= {0, *lesions}) is kept


@pytest.fixture
def mosaic_problems(shipped):
    """Finds the problems of a config of five lesion classes with a mosaic step."""

    def find(**head):
        cfg = shipped('mcdrl')
        cfg.model.decode_head.update(head)
        inner = cfg.train_dataloader.dataset
        steps = [dict(type='RandomMosaic', prob=1.0), inner.pipeline[-1]]
        inner.pipeline = inner.pipeline[:-1]
        cfg.train_dataloader.dataset = dict(
            type='MultiImageMixDataset', dataset=inner, pipeline=steps
        )
        return find_problems(cfg)

    return find


def test_a_mosaic_beside_losses_of_whole_images_is_refused(mosaic_problems):
    assert mosaic_problems() == []
    loss = dict(type='CLIPContrastiveLoss')
    (problem,) = mosaic_problems(loss_contrast=loss)
    assert problem.place == 'train_dataloader.dataset.pipeline[0]'
    assert 'keeps the lesion classes of only one' in problem.what
    assert 'loss_contrast=None' in problem.remedy
