import pytest
from mmengine.config import Config

from mcdrl_mmseg.apis.pipeline_size import pipeline_size

LOAD = dict(type='LoadImageFromFile')


def resize(**options) -> dict:
    return dict(test_pipeline=[LOAD, dict(type='mmseg.Resize', **options)])


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        # MMCV's scale is (width, height).
        (resize(scale=(160, 96)), (96, 160)),
        (resize(scale=(160, 96), keep_ratio=False), (96, 160)),
        (resize(scale=128), (128, 128)),
        (resize(scale=(160, 96), keep_ratio=True), None),
        (resize(scale_factor=0.5), None),
        (dict(test_pipeline=[LOAD]), None),
        (
            dict(test_dataloader=dict(dataset=dict(resize(scale=(8, 4))))),
            None,
        ),
        (
            dict(
                test_dataloader=dict(
                    dataset=dict(pipeline=[dict(type='Resize', scale=(8, 4))])
                )
            ),
            (4, 8),
        ),
        ({}, None),
    ],
)
def test_height_and_width_of_every_image(cfg, expected):
    assert pipeline_size(Config(cfg)) == expected
