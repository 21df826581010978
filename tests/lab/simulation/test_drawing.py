import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import LESION_CLASSES, Confounders, SceneError, do


def fingerprint(seed, index):
    image, mask = draw(sample_scene(seed, index))
    return hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()


def test_the_same_seed_and_index_give_the_same_bytes_in_any_order():
    forth = [fingerprint(9, k) for k in range(8)]
    back = [fingerprint(9, k) for k in reversed(range(8))]
    assert forth == back[::-1]
    assert len(set(forth)) == 8


def test_drawing_does_not_use_global_random_numbers():
    np.random.seed(0)
    cv2.setRNGSeed(0)
    first = fingerprint(9, 0)
    np.random.seed(1)
    cv2.setRNGSeed(1)
    assert fingerprint(9, 0) == first


@pytest.mark.parametrize('size', [32, 128, 200])
def test_image_and_mask_have_the_requested_size(size):
    image, mask = draw(sample_scene(0, 1), size=size)
    assert image.shape == (size, size, 3) and mask.shape == (size, size)
    assert image.dtype == mask.dtype == np.uint8


def test_a_mask_holds_only_the_lesion_class_of_the_scene(plain_scenes):
    for scene in plain_scenes:
        values = set(np.unique(draw(scene)[1]).tolist())
        if scene.lesion is None:
            assert values == {0}
        else:
            assert values == {0, 1 + LESION_CLASSES.index(scene.lesion.name)}


def test_lesions_cover_a_plausible_share_of_the_image(plain_scenes):
    shares = [(draw(s)[1] > 0).mean() for s in plain_scenes if s.lesion]
    assert min(shares) > 0.01 and max(shares) < 0.35


def test_a_lesion_is_one_piece_and_a_nodule_at_most_three(plain_scenes):
    """Specks of a few pixels may lie off an uneven outline, but no islands."""
    for scene in plain_scenes:
        if scene.lesion is None:
            continue
        mask = draw(scene, size=192)[1] > 0
        _, _, stats, _ = cv2.connectedComponentsWithStats(np.uint8(mask))
        areas = stats[1:, cv2.CC_STAT_AREA]
        pieces = int((areas > 0.02 * areas.sum()).sum())
        assert pieces <= (3 if scene.lesion.name == 'nodule' else 1)


def test_the_image_changes_across_the_border_of_the_mask(plain_scenes):
    """Just inside and just outside differ more than two rings of healthy tissue."""
    ratios = []
    for scene in plain_scenes:
        if scene.lesion is None:
            continue
        image, mask = draw(replace(scene, frame='full'))
        lesion = np.uint8(mask > 0)

        def ring(inner, outer, lesion=lesion, image=image):
            def grown(n):
                if not n:
                    return lesion
                kernel = np.ones((2 * abs(n) + 1,) * 2, np.uint8)
                return (cv2.dilate if n > 0 else cv2.erode)(lesion, kernel)

            where = (grown(outer) > 0) & (grown(inner) == 0)
            return image[where].astype(float).mean(axis=0)

        across = np.abs(ring(-3, 0) - ring(0, 3)).sum()
        outside = np.abs(ring(6, 9) - ring(9, 12)).sum()
        ratios.append(across / (outside + 1))
    assert np.median(ratios) > 5
    assert min(ratios) > 1


def test_removing_the_lesion_changes_the_image_within_the_mask_and_near_it(
    plain_scenes,
):
    """Outside only the shadow of the lesion changes, which lies close to it."""
    for scene in plain_scenes:
        if scene.lesion is None:
            continue
        scene = replace(scene, frame='full')
        image, mask = draw(scene)
        healthy, empty = draw(replace(scene, lesion=None))
        assert not empty.any()
        change = np.abs(image.astype(int) - healthy).max(axis=2)
        assert (change[mask > 0] > 8).mean() > 0.85, scene.lesion.name
        reach = np.ones((41, 41), np.uint8)
        around = cv2.dilate(np.uint8(mask > 0), reach) > 0
        assert (change[~around] > 8).mean() < 0.01, scene.lesion.name


def test_given_confounders_replace_those_of_the_scene():
    scene = do(sample_scene(0, 2), dark=0.9, blur=0.5)
    other = Confounders(nbi=0.8)
    given = draw(scene, other)
    set_before = draw(replace(scene, confounders=other))
    assert np.array_equal(given[0], set_before[0])
    assert np.array_equal(given[1], set_before[1])


def test_image_and_mask_are_black_outside_the_frame(plain_scenes):
    for frame, corners in (('octagon', 4), ('circle', 4), ('full', 0)):
        image, mask = draw(replace(plain_scenes[0], frame=frame))
        black = [(image[y, x] == 0).all() for y in (0, -1) for x in (0, -1)]
        assert sum(black) == corners
        assert not mask[image.max(axis=2) == 0].any()


def test_an_unknown_frame_is_refused(plain_scenes):
    with pytest.raises(SceneError, match='square'):
        draw(replace(plain_scenes[0], frame='square'))


def test_a_larger_drawing_shows_the_same_scene(plain_scenes):
    for scene in plain_scenes[:8]:
        small, small_mask = draw(scene, size=64)
        large, large_mask = draw(scene, size=256)
        large = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(float) - large).mean() < 8
        share = (small_mask > 0).mean(), (large_mask > 0).mean()
        assert share[0] == pytest.approx(share[1], abs=0.01)
