"""LesionBalancedCrop: as many crops with a lesion as without one."""

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS

from mcdrl_mmseg.datasets import LesionBalancedCrop

SIDE = 40


def results(lesion=(slice(10, 20), slice(10, 20)), value=1, dark=0):
    """A bright image whose pixel values give their position, and its labels."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.stack([rows + 100, columns + 100, rows * 0 + 200], axis=2)
    image[:, :dark] = 0
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[lesion] = value
    other = (rows * SIDE + columns).astype(np.int32)
    return dict(
        img=image.astype(np.uint8),
        gt_seg_map=labels,
        other=other,
        seg_fields=['gt_seg_map', 'other'],
        img_shape=(SIDE, SIDE),
    )


def crops(count=200, before=results, **options):
    """The results for one image that were actually cropped."""
    transform = LesionBalancedCrop(**{'prob': 1.0, **options})
    found = [transform.transform(before()) for _ in range(count)]
    return [each for each in found if each['img_shape'] != (SIDE, SIDE)]


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


CORNER = (slice(0, 8), slice(0, 8))  # leaves room beside it for crops of every size


def test_half_of_the_crops_show_a_lesion():
    found = crops(400, before=lambda: results(lesion=CORNER))
    shares = [(each['gt_seg_map'] > 0).any() for each in found]
    assert 0.42 < np.mean(shares) < 0.58
    assert len(shares) == 400


def test_a_crop_with_a_lesion_holds_half_of_it_or_is_half_filled_by_it():
    for each in crops():
        inside = int((each['gt_seg_map'] > 0).sum())
        assert inside == 0 or inside >= 50

    def large():
        return results(lesion=(slice(0, SIDE), slice(0, 30)))

    found = crops(before=large, scale_range=(0.5, 0.5))
    assert found
    for each in found:  # 20 x 20; half of the lesion, 600, would never fit
        inside = int((each['gt_seg_map'] > 0).sum())
        assert inside == 0 or inside >= 200


def test_image_and_all_maps_are_cropped_alike():
    for each in crops(20):
        top, left = divmod(int(each['other'][0, 0]), SIDE)
        height, width = each['img_shape']
        window = (slice(top, top + height), slice(left, left + width))
        before = results()
        for key in ('img', 'gt_seg_map', 'other'):
            assert np.array_equal(each[key], before[key][window]), key


def test_crop_sizes_lie_in_the_range():
    sides = {
        side for each in crops(scale_range=(0.4, 0.7)) for side in each['img_shape']
    }
    assert min(sides) == 16
    assert max(sides) == 28


def test_crops_stay_in_the_field_of_view():
    found = crops(before=lambda: results(dark=15), min_view=1.0)
    assert found
    assert all((each['img'] > 25).any(axis=2).all() for each in found)
    # With a lower share, crops reach into the dark border.
    found = crops(before=lambda: results(dark=15), min_view=0.5)
    dark = [(each['img'] <= 25).all(axis=2).mean() for each in found]
    assert 0 < max(dark) <= 0.5


@pytest.mark.parametrize('ignored', [255, 7])
def test_ignored_pixels_are_neither_lesion_nor_healthy(ignored):
    found = crops(before=lambda: results(value=ignored), ignore_index=ignored)
    assert found
    assert all((each['gt_seg_map'] == 0).all() for each in found)


def test_an_image_full_of_lesion_stays_whole_where_a_healthy_crop_was_drawn():
    everywhere = (slice(None), slice(None))
    found = crops(400, before=lambda: results(lesion=everywhere))
    assert 0.42 < len(found) / 400 < 0.58
    assert all((each['gt_seg_map'] == 1).all() for each in found)


def test_a_lesion_free_image_is_cropped_in_half_of_the_cases():
    found = crops(400, before=lambda: results(value=0))
    assert 0.42 < len(found) / 400 < 0.58


def test_prob_is_the_share_of_images_that_are_cropped():
    def before():
        return results(lesion=CORNER)

    assert not crops(before=before, prob=0.0)
    assert 0.24 < len(crops(400, before=before, prob=0.3)) / 400 < 0.36


def test_the_same_seed_gives_the_same_crop():
    def first():
        np.random.seed(3)
        return LesionBalancedCrop(prob=1.0).transform(results())

    assert np.array_equal(first()['other'], first()['other'])


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        ({'prob': 1.2}, 'prob=1.2'),
        ({'min_view': -0.1}, 'min_view=-0.1'),
        ({'scale_range': (0.7, 0.4)}, 'scale_range=(0.7, 0.4)'),
        ({'scale_range': (0, 0.4)}, 'scale_range=(0, 0.4)'),
        ({'scale_range': (0.4, 1.5)}, 'scale_range=(0.4, 1.5)'),
    ],
)
def test_a_value_out_of_its_range_is_an_error_that_names_it(options, named):
    with pytest.raises(ValueError, match='LesionBalancedCrop') as caught:
        LesionBalancedCrop(**options)
    assert named in str(caught.value)


def test_the_transform_is_registered_and_shows_its_options():
    built = TRANSFORMS.build(dict(type='LesionBalancedCrop', prob=0.25))
    assert repr(built) == (
        'LesionBalancedCrop(prob=0.25, scale_range=(0.4, 0.7), min_view=0.8, '
        'ignore_index=255)'
    )
