"""Made-up results with numbers that tests can expect."""

import pytest


@pytest.fixture
def make_image(make_image):
    """Makes a per-image record of 100 pixels; dice None is a lesion-free image."""

    def make(name, dice, site='s1', sequence=None):
        counts = dict(tp=3, fn=2) if dice is not None else dict(tp=0, fn=0)
        return make_image(name, dice, sequence, site) | dict(
            hd95=12.0 if dice is not None else None, fp=1, tn=94, pixels=100, **counts
        )

    return make


@pytest.fixture
def make_record(make_record, make_image):
    """Makes a run from Dice scores, one image each, called images/i0.jpg, ..."""

    def make(method='mcdrl', held_out='s1', seed=0, dice=(0.2, 0.6), **values):
        images = [
            make_image(f'images/i{n}.jpg', d, held_out) for n, d in enumerate(dice)
        ]
        defaults = dict(
            config=f'configs/{method}.py',
            budget=dict(epochs=5),
            images=images,
            versions={'torch': 'torch 2.0'},
            duration_s=90.0,
        )
        return make_record(method, held_out, seed, **{**defaults, **values})

    return make
