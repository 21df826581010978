import pytest

from mcdrl_mmseg.engine.config_check.config_components import components
from mcdrl_mmseg.engine.config_check.ignored_labels import ignored_label_problems


@pytest.mark.parametrize(('head', 'expected'), [(255, 7), (7, None)])
def test_sites_may_mark_unknown_pixels_by_another_label_than_255(
    shipped, head, expected
):
    cfg = shipped('mcdrl')
    cfg.train_dataloader.dataset.ignore_index = 7
    cfg.model.data_preprocessor.seg_pad_val = 7
    cfg.model.decode_head.predictor.ignore_index = head
    found = list(ignored_label_problems(cfg, components(cfg)))
    assert len(found) == (expected is not None)
    assert all(each.remedy == f'Set it to {expected}.' for each in found)
