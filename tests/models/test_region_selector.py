import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.models.region_selector import (
    CLIPRegionSelector,
    gather_tokens,
    resize_map,
    scatter_tokens,
)


def reference_similarity(dense, classes):
    """Cosines by loops, in float64: (B, d, h, w), (K, d) -> (B, K, h, w)."""
    batch, _, height, width = dense.shape
    similarity = np.zeros((batch, len(classes), height, width))
    for b in range(batch):
        for k, text in enumerate(classes):
            for row in range(height):
                for column in range(width):
                    token = dense[b, :, row, column]
                    lengths = np.linalg.norm(token) * np.linalg.norm(text)
                    similarity[b, k, row, column] = token @ text / lengths
    return similarity


def reference_positions(similarity, count):
    """Positions of the highest maxima over classes, of equal ones the lower first."""
    best = similarity.max(axis=1).reshape(len(similarity), -1)
    return [
        sorted(range(row.size), key=lambda position: (-row[position], position))[:count]
        for row in best
    ]


@pytest.mark.parametrize(
    ('height', 'width', 'ratio', 'count'),
    [
        (7, 7, 0.5, 25),
        (5, 3, 0.3, 5),
        (1, 9, 0.5, 5),
        (14, 10, 0.25, 35),
        (3, 5, 1.0, 15),
        (4, 4, 0.001, 1),
        (1, 1, 0.5, 1),
    ],
)
def test_selection_equals_a_float64_reference(height, width, ratio, count):
    generator = torch.Generator().manual_seed(height * width)
    dense = torch.randn(3, 6, height, width, generator=generator)
    classes = torch.randn(4, 6, generator=generator)
    similarity, indices = CLIPRegionSelector(ratio)(dense, classes)

    expected = reference_similarity(dense.double().numpy(), classes.double().numpy())
    np.testing.assert_allclose(similarity.numpy(), expected, atol=1e-5)
    assert indices.shape == (3, count)
    assert indices.tolist() == reference_positions(expected, count)


@pytest.mark.parametrize(('ratio', 'count'), [(0.5, 8), (1.0, 15), (0.01, 1)])
def test_gather_and_scatter_equal_a_float64_reference(ratio, count):
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(2, 4, 3, 5, generator=generator).double()
    dense = torch.randn(2, 6, 3, 5, generator=generator)
    indices = CLIPRegionSelector(ratio)(dense, torch.eye(6)[:2]).indices
    tokens = gather_tokens(feature, indices)
    replaced = torch.randn(2, count, 4, generator=generator).double()
    scattered = scatter_tokens(feature, indices, replaced)

    expected = feature.numpy().copy()
    for b in range(2):
        for n in range(count):
            row, column = divmod(int(indices[b, n]), 5)
            np.testing.assert_array_equal(
                tokens[b, n].numpy(), feature[b, :, row, column].numpy()
            )
            expected[b, :, row, column] = replaced[b, n].numpy()
    np.testing.assert_array_equal(scattered.numpy(), expected)


def test_the_most_similar_class_decides_and_not_the_mean_over_classes():
    """Position 0 is somewhat like both classes, position 1 exactly the second."""
    classes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    dense = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).T.view(1, 2, 1, 2)
    similarity, indices = CLIPRegionSelector(0.5)(dense, classes)
    assert_close(similarity[0, :, 0], torch.tensor([[0.5**0.5, 0.0], [0.5**0.5, 1.0]]))
    assert indices.tolist() == [[1]]


def test_the_norm_of_features_and_texts_has_no_effect():
    dense = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    scale = torch.rand(1, 1, 3, 3, generator=torch.Generator().manual_seed(1)) + 0.1
    classes = torch.randn(2, 4, generator=torch.Generator().manual_seed(2))
    select = CLIPRegionSelector(0.4)
    one, other = select(dense, classes), select(dense * scale, classes * 7)
    assert_close(one.similarity, other.similarity)
    assert torch.equal(one.indices, other.indices)


def test_ties_go_to_the_lower_position():
    select = CLIPRegionSelector(0.5)
    equal = torch.ones(2, 3, 4, 5)
    assert select(equal, torch.ones(1, 3)).indices.tolist() == [list(range(10))] * 2
    # One position stands out; the rest are equal.
    equal[0, :, 2, 3] = -1
    equal[1, 1:, 0, 0] = -1
    indices = select(equal, torch.ones(1, 3)).indices.tolist()
    assert indices[0] == list(range(10))
    assert indices[1] == list(range(1, 11))


@pytest.mark.parametrize(
    ('ratio', 'size', 'count'),
    [(0.5, (7, 7), 25), (0.5, (1, 1), 1), (1e-9, (9, 9), 1), (1, (9, 7), 63)],
)
def test_the_number_of_kept_positions_is_rounded_and_at_least_one(ratio, size, count):
    assert CLIPRegionSelector(ratio).num_kept(*size) == count


def test_similarity_is_resized_to_a_finer_grid_of_features():
    """On a row of two, bilinear resizing to four gives weights 1, 3/4, 1/4, 0."""
    dense = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).view(1, 2, 1, 2)
    similarity, indices = CLIPRegionSelector(0.5)(
        dense, torch.tensor([[1.0, 0.0]]), grid=(1, 4)
    )
    assert similarity.shape == (1, 1, 1, 2)  # of CLIP's own grid
    assert indices.tolist() == [[3, 2]]


def test_coarser_grid_gives_positions_within_it():
    dense = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    indices = CLIPRegionSelector(0.5)(dense, torch.eye(4)[:1], grid=(3, 2)).indices
    assert indices.shape == (2, 3)
    assert indices.max() < 6


def test_a_grid_of_the_same_size_changes_nothing():
    dense = torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    select = CLIPRegionSelector(0.5)
    plain = select(dense, torch.eye(4))
    given = select(dense, torch.eye(4), grid=(3, 5))
    assert torch.equal(plain.indices, given.indices)


def test_similarity_of_zero_features_and_zero_texts_is_finite():
    dense = torch.randn(1, 4, 2, 2)
    dense[..., 0, 0] = 0
    for classes in (torch.eye(4)[:1], torch.zeros(2, 4)):
        similarity, indices = CLIPRegionSelector(0.5)(dense, classes)
        assert similarity.isfinite().all()
        assert similarity[..., 0, 0].abs().max() == 0
        assert indices.unique().numel() == 2


def test_scattering_the_gathered_tokens_restores_the_map():
    feature = torch.randn(2, 4, 3, 5)
    indices = torch.stack([torch.randperm(15)[:7] for _ in range(2)])
    tokens = gather_tokens(feature, indices)
    assert torch.equal(scatter_tokens(feature, indices, tokens), feature)


def test_scattering_does_not_change_its_input_and_passes_gradients():
    feature = torch.randn(1, 2, 2, 2, requires_grad=True)
    tokens = torch.randn(1, 1, 2, requires_grad=True)
    before = feature.detach().clone()
    indices = torch.tensor([[2]])
    scatter_tokens(feature, indices, tokens).sum().backward()
    assert torch.equal(feature.detach(), before)
    assert feature.grad[0, 0].tolist() == [[1, 1], [0, 1]]
    assert tokens.grad.tolist() == [[[1, 1]]]


def test_half_precision_features_are_compared_in_single_precision():
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(1, 16, 12, 12, generator=generator).bfloat16()
    classes = torch.randn(1, 16, generator=generator)
    exact = CLIPRegionSelector(0.5)(dense.float(), classes)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        result = CLIPRegionSelector(0.5)(dense, classes)
    assert result.similarity.dtype == torch.float32
    assert torch.equal(result.similarity, exact.similarity)
    assert torch.equal(result.indices, exact.indices)


def test_no_gradient_flows_through_the_selection():
    dense = torch.randn(1, 4, 2, 2, requires_grad=True)
    assert not CLIPRegionSelector(0.5)(dense, torch.eye(4)).similarity.requires_grad


@pytest.mark.parametrize('ratio', [0, -0.1, 1.1, float('nan')])
def test_ratio_outside_its_range_is_an_error(ratio):
    with pytest.raises(ValueError, match=r'CLIPRegionSelector: ratio=.*\(0, 1\]'):
        CLIPRegionSelector(ratio)


GRIDS = [((1, 1), (6, 6)), ((4, 6), (13, 24)), ((7, 7), (56, 28)), ((14, 9), (7, 5))]


@pytest.mark.parametrize(('size', 'grid'), GRIDS)
def test_a_map_is_resized_as_by_torchs_bilinear_interpolation(size, grid):
    maps = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.interpolate(
        maps.double(), size=grid, mode='bilinear', align_corners=False
    )
    assert_close(resize_map(maps, grid).double(), expected, atol=1e-6, rtol=0)


def test_a_map_with_a_single_position_selects_the_first_positions_of_the_grid():
    """All positions are equal despite rounding, for every image of a batch."""
    generator = torch.Generator().manual_seed(3)
    dense = torch.randn(16, 6, 1, 1, generator=generator)
    classes = torch.randn(4, 6, generator=generator)
    _, indices = CLIPRegionSelector(0.5)(dense, classes, grid=(6, 6))
    assert indices.tolist() == [list(range(18))] * 16


@pytest.mark.parametrize('factor', [4, 8])
def test_positions_beyond_the_outermost_cell_centres_are_exact_ties(factor):
    """Half of a cell lies outside on each side; the lower position comes first."""
    generator = torch.Generator().manual_seed(4)
    dense = torch.randn(8, 6, 7, 7, generator=generator)
    classes = torch.randn(4, 6, generator=generator)
    side, beyond = 7 * factor, factor // 2
    similarity, indices = CLIPRegionSelector(0.5)(dense, classes, grid=(side, side))
    best = resize_map(similarity.amax(1, keepdim=True), (side, side))
    for edge in (best[:, :, -beyond:], best[..., -beyond:].mT, best[:, :, :beyond]):
        assert torch.equal(edge, edge[:, :, :1].expand_as(edge))
    expected = reference_positions(best.double().numpy(), side * side // 2)
    assert indices.tolist() == expected


class _Positions(torch.nn.Module):
    """The kept positions on a grid four times as fine, of a map of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.select = CLIPRegionSelector(0.5)

    def forward(self, dense, classes):
        grid = (4 * dense.shape[2], 4 * dense.shape[3])
        return self.select(dense, classes, grid).indices


def test_an_exported_selection_resolves_ties_in_the_same_way():
    generator = torch.Generator().manual_seed(5)
    classes = torch.randn(4, 6, generator=generator)
    sides = {2: torch.export.Dim('rows', min=2), 3: torch.export.Dim('columns', min=2)}
    exported = torch.export.export(
        _Positions(),
        (torch.randn(2, 6, 3, 5, generator=generator), classes),
        dynamic_shapes=({0: torch.export.Dim('batch'), **sides}, None),
    ).module()
    for size in ((3, 5), (7, 4)):
        dense = torch.randn(32, 6, *size, generator=generator)
        assert torch.equal(exported(dense, classes), _Positions()(dense, classes))
