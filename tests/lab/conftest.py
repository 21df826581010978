import itertools

import pytest

from mcdrl_lab.plans.records import RunRecord

BUDGET = {'epochs': 5, 'batch_size': 4, 'image_size': [64, 64], 'train_images': 40}


def image(name, dice, sequence=None, site='a'):
    """Make a per-image record; dice None means no lesion and a false positive."""
    lesion = dice is not None
    return {
        'image': name,
        'site': site,
        'sequence': sequence,
        'lesion_classes': ['polyp'] if lesion else [],
        'has_lesion': lesion,
        'dice': dice,
        'iou': dice / (2 - dice) if lesion else None,
        'accuracy': 0.9,
        'precision': dice,
        'recall': dice,
        'hd95': 10.0 if lesion else None,
        'nsd': None,
        'dice_mean256': None,
        'iou_mean256': None,
        'false_positive': None if lesion else True,
        'false_area': None if lesion else 0.25,
    }


@pytest.fixture
def make_image():
    return image


@pytest.fixture
def make_record():
    """Make a record from Dice scores, one image each, called i0, i1, ..."""

    def make(method='a', held_out='s1', seed=0, dice=(), **values):
        images = values.pop('images', None)
        if images is None:
            images = [image(f'i{n}', d, site=held_out) for n, d in enumerate(dice)]
        defaults = {
            'config': f'{method}.py',
            'config_hash': 'c' * 64,
            'data_hash': 'd' * 64,
            'budget': BUDGET,
            'images': images,
            'duration_s': 10.0,
        }
        return RunRecord(
            method=method, held_out=held_out, seed=seed, **{**defaults, **values}
        )

    return make


@pytest.fixture
def two_methods(make_record):
    """Methods a and b on two sites with two seeds; a is better by 0.1 at s1 only."""
    records = []
    for site, seed in itertools.product(('s1', 's2'), (0, 1)):
        base = [0.2 + 0.1 * seed, 0.4 + 0.1 * seed, 0.6 + 0.1 * seed]
        gain = 0.1 if site == 's1' else 0.0
        better = [d + gain for d in base]
        records += [
            make_record('a', site, seed, better),
            make_record('b', site, seed, base),
        ]
    return records
