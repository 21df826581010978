import numpy as np
import torch

from mcdrl_common.site_reliability import THRESHOLDS
from mcdrl_mmseg.evaluation.missed_lesions import missed_shares


def at(shares, threshold):
    """Shares of area and of lesions at one threshold."""
    return shares[:, THRESHOLDS.index(threshold)].tolist()


def test_missed_shares_of_area_and_lesions_agree_with_a_hand_worked_case():
    # A lesion of three pixels and one of a single pixel; the rest is no lesion.
    lesion = torch.tensor([[1, 1, 1, 0, 1]]).bool()
    probability = torch.tensor([[0.9, 0.3, 0.0, 0.99, 0.25]])
    shares = missed_shares(probability, lesion)
    assert at(shares, 0.0) == [0.0, 0.0]
    assert at(shares, 0.01) == [1 / 4, 0.0]
    # 0.3 is at least 0.3: the pixel is found.
    assert at(shares, 0.3) == [2 / 4, 1 / 2]
    assert at(shares, 0.31) == [3 / 4, 1 / 2]
    assert at(shares, 1.0) == [1.0, 1.0]


def test_single_pixel_is_found_at_thresholds_up_to_its_probability():
    shares = missed_shares(torch.tensor([[0.5]]), torch.tensor([[True]]))
    assert at(shares, 0.5) == [0.0, 0.0]
    assert at(shares, 0.51) == [1.0, 1.0]


def test_diagonal_neighbours_are_one_lesion():
    lesion = torch.tensor([[1, 0], [0, 1]]).bool()
    shares = missed_shares(torch.tensor([[0.9, 0.0], [0.0, 0.1]]), lesion)
    assert at(shares, 0.5) == [0.5, 0.0]


def test_image_without_lesion_has_no_missed_shares():
    assert missed_shares(torch.rand(4, 4), torch.zeros(4, 4).bool()) is None


def test_missed_shares_never_fall_with_the_threshold_and_lie_between_0_and_1():
    lesion = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) < 0.2
    probability = torch.rand(40, 40, generator=torch.Generator().manual_seed(1))
    shares = missed_shares(probability, lesion)
    assert (np.diff(shares, axis=1) >= 0).all()
    assert shares.min() == 0 and shares.max() <= 1
    assert list(THRESHOLDS) == sorted(set(THRESHOLDS))
