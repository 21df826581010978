"""Made-up results, in numbers that every test may know."""

import pytest

from mcdrl_lab.plans.records import RunRecord


def image(name, dice, site='s1', sequence=None):
    """A per-image record of 100 pixels; dice None is a lesion-free image."""
    lesion = dice is not None
    return dict(
        image=name,
        site=site,
        sequence=sequence,
        lesion_classes=['polyp'] if lesion else [],
        has_lesion=lesion,
        dice=dice,
        iou=dice / (2 - dice) if lesion else None,
        hd95=12.0 if lesion else None,
        false_positive=None if lesion else True,
        false_area=None if lesion else 0.25,
        tp=3 if lesion else 0,
        fn=2 if lesion else 0,
        fp=1,
        tn=94,
        pixels=100,
    )


@pytest.fixture
def make_image():
    return image


@pytest.fixture
def make_record():
    """Makes a run from Dice scores, one image each, called images/i0.jpg, ..."""

    def make(method='mcdrl', held_out='s1', seed=0, dice=(0.2, 0.6), **values):
        images = [image(f'images/i{n}.jpg', d, held_out) for n, d in enumerate(dice)]
        defaults = dict(
            config=f'configs/{method}.py',
            config_hash='c' * 64,
            data_hash='d' * 64,
            budget=dict(epochs=5),
            images=images,
            versions={'torch': 'torch 2.0'},
            duration_s=90.0,
        )
        return RunRecord(
            method=method, held_out=held_out, seed=seed, **{**defaults, **values}
        )

    return make
