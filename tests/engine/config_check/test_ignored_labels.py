import pytest

from mcdrl_mmseg.engine.config_check.config_components import components
from mcdrl_mmseg.engine.config_check.ignored_labels import ignored_label_problems


@pytest.mark.parametrize(('head', 'expected'), [(255, 7), (7, None)])
def test_a_head_must_ignore_the_label_with_which_sites_mark_unknown_pixels(
    shipped, head, expected
):
    cfg = shipped('mcdrl')
    cfg.train_dataloader.dataset.ignore_index = 7
    cfg.model.data_preprocessor.seg_pad_val = 7
    cfg.model.decode_head.predictor.ignore_index = head
    found = list(ignored_label_problems(cfg, components(cfg)))
    assert len(found) == (expected is not None)
    assert all(each.remedy == f'Set it to {expected}.' for each in found)


@pytest.mark.parametrize(
    ('step', 'key'),
    [
        (dict(type='RandomRotate', prob=0.5, degree=20), 'seg_pad_val'),
        (dict(type='RandomCrop', crop_size=(64, 64)), 'ignore_index'),
        (dict(type='LesionBalancedCrop'), 'ignore_index'),
        (dict(type='Pad', size=(160, 160), pad_val=0), 'pad_val.seg'),
        (dict(type='Pad', size=(160, 160), pad_val=dict(img=0, seg=9)), 'pad_val.seg'),
        # The ignored label of the data, or a class.
        (dict(type='RandomRotate', prob=0.5, degree=20, seg_pad_val=7), None),
        (dict(type='Pad', size=(160, 160), pad_val=dict(seg=0)), None),
        (dict(type='Resize', scale=(160, 160)), None),
    ],
)
def test_steps_that_fill_with_another_label_than_the_ignored_one_are_reported(
    shipped, step, key
):
    cfg = shipped('mcdrl')
    data = cfg.train_dataloader.dataset
    data.ignore_index = cfg.model.data_preprocessor.seg_pad_val = 7
    cfg.model.decode_head.predictor.ignore_index = 7
    data.pipeline = [*data.pipeline[:2], step, *data.pipeline[2:]]
    found = list(ignored_label_problems(cfg, components(cfg)))
    expected = [f'train_dataloader.dataset.pipeline[2].{key}'] if key else []
    assert [each.place for each in found] == expected
    assert all(each.remedy == 'Set it to 7.' for each in found)
