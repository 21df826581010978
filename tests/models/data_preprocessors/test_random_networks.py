import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch.testing import assert_close

from mcdrl_mmseg.models.data_preprocessors.random_networks import (
    Layer,
    draw_networks,
    mix_and_rescale,
    run_networks,
)


def run_one(image: np.ndarray, layers: list) -> np.ndarray:
    """One image through one network, by SciPy in float64."""
    x = image
    for number, (weight, shift) in enumerate(layers):
        if number:
            x = np.where(x > 0, x, 0.01 * x)
        x = np.stack(
            [
                sum(correlate(x[i], weight[o, i], mode='same') for i in range(len(x)))
                + shift[o]
                for o in range(len(weight))
            ]
        )
    return x


def test_every_image_goes_through_its_own_network():
    torch.manual_seed(0)
    images = torch.randn(3, 3, 7, 9, dtype=torch.float64)
    layers = draw_networks(3, 3, num_layers=4, hidden_channels=2, like=images)
    found = run_networks(images, layers)
    for index, image in enumerate(images):
        own = [
            (w[index].double().numpy(), s[index].double().numpy()) for w, s in layers
        ]
        expected = run_one(image.numpy(), own)
        np.testing.assert_allclose(found[index], expected, rtol=1e-9, atol=1e-9)


def test_a_network_equals_values_worked_out_by_hand():
    # 2 * 1 + 1 = 3; times -1 is -3, plus 1 is -2. 2 * -1 + 1 = -1, leaky -0.01; 1.01.
    weight = torch.zeros(1, 1, 1, 3, 3)
    weight[..., 1, 1] = 1
    layers = [
        Layer(2 * weight, torch.ones(1, 1)),
        Layer(-weight, torch.ones(1, 1)),
    ]
    images = torch.tensor([1.0, -1.0]).view(1, 1, 1, 2)
    assert_close(run_networks(images, layers).flatten(), torch.tensor([-2.0, 1.01]))


def test_networks_have_the_requested_shape_and_kernels_of_size_1_or_3():
    torch.manual_seed(0)
    layers = draw_networks(400, 3, num_layers=4, hidden_channels=2, like=torch.empty(0))
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (400, 2, 3, 3, 3),
        (400, 2, 2, 3, 3),
        (400, 2, 2, 3, 3),
        (400, 3, 2, 3, 3),
    ]
    for layer in layers:
        edges = layer.weight[..., 0, 0].flatten(1) != 0
        # In about half of the layers, and there in all channels.
        assert (edges.all(dim=1) == edges.any(dim=1)).all()
        assert 0.4 < edges.any(dim=1).float().mean() < 0.6
        assert (layer.weight[..., 1, 1] != 0).all()
        assert layer.weight[..., 1, 1].std() == pytest.approx(1, abs=0.1)
        assert layer.shift.std() == pytest.approx(1, abs=0.1)


def test_a_single_layer_maps_image_channels_to_image_channels():
    layers = draw_networks(2, 3, num_layers=1, hidden_channels=2, like=torch.empty(0))
    assert [tuple(layer.weight.shape) for layer in layers] == [(2, 3, 3, 3, 3)]


def test_a_mixture_worked_out_by_hand_keeps_the_energy_of_the_image():
    # x = (3, 4), norm 5. Half of (5, 0) and of x: (4, 2), norm sqrt(20).
    images = torch.tensor([3.0, 4.0]).view(1, 1, 1, 2)
    changed = torch.tensor([5.0, 0.0]).view(1, 1, 1, 2)
    mixed = mix_and_rescale(images, changed, torch.full((1, 1, 1, 1), 0.5))
    expected = torch.tensor([4.0, 2.0]) * 5 / 20**0.5
    assert_close(mixed.flatten(), expected)


@pytest.mark.parametrize(('alpha', 'same'), [(0.0, True), (1.0, False)])
def test_a_mixing_share_of_zero_leaves_the_image_unchanged(alpha, same):
    torch.manual_seed(0)
    images, changed = torch.randn(2, 2, 3, 4, 5)
    mixed = mix_and_rescale(images, changed, torch.full((2, 1, 1, 1), alpha))
    assert torch.allclose(mixed, images, atol=1e-6) == same
    assert_close(mixed.flatten(1).norm(dim=1), images.flatten(1).norm(dim=1))


def test_black_image_stays_black():
    images = torch.zeros(1, 3, 4, 4)
    mixed = mix_and_rescale(images, torch.randn(1, 3, 4, 4), torch.ones(1, 1, 1, 1))
    assert torch.equal(mixed, images)
