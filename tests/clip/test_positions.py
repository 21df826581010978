import torch
from torch.testing import assert_close

from mcdrl_mmseg.clip.positions import fit_position_grid


def positions(side: int, width: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1 + side * side, width, generator=generator)


def test_an_equal_grid_returns_the_given_tensor_itself():
    given = positions(4)
    assert fit_position_grid(given, (4, 4)) is given


def test_the_position_of_the_pooled_token_is_kept_on_another_grid():
    given = positions(4)
    fitted = fit_position_grid(given, (3, 6))
    assert fitted.shape == (1 + 18, 3)
    assert torch.equal(fitted[0], given[0])


def test_constant_positions_stay_constant():
    given = torch.full((17, 2), 0.7)
    assert_close(fit_position_grid(given, (7, 3)), torch.full((22, 2), 0.7))


def test_rows_and_columns_are_not_swapped():
    """A field that grows along the rows still grows only along the rows."""
    rows = torch.arange(4.0).repeat_interleave(4)
    given = torch.cat([torch.zeros(1), rows])[:, None]
    fitted = fit_position_grid(given, (8, 2))[1:].view(8, 2)
    assert_close(fitted[:, 0], fitted[:, 1])
    assert (fitted[1:, 0] > fitted[:-1, 0]).all()


def test_square_grids_agree_with_the_resizing_of_open_clip():
    from open_clip.model import resize_pos_embed

    given = positions(4)

    class Visual:
        grid_size = (6, 6)

    class Model:
        visual = Visual()

    state = {'visual.positional_embedding': given.clone()}
    resize_pos_embed(state, Model())
    assert_close(fit_position_grid(given, (6, 6)), state['visual.positional_embedding'])


def test_half_precision_is_kept_and_gradients_flow():
    given = positions(4).half().requires_grad_()
    fitted = fit_position_grid(given, (5, 5))
    assert fitted.dtype == torch.float16
    fitted.sum().backward()
    assert given.grad is not None and bool((given.grad != 0).any())


def test_a_traced_graph_gives_the_same_positions():
    """MMEngine's FLOP counter traces the model; sizes are tensors there."""

    def fit(given: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return fit_position_grid(given, (tokens.shape[0], tokens.shape[1]))

    traced = torch.jit.trace(fit, (positions(4), torch.zeros(3, 6)))
    given = 2 * positions(4)
    expected = fit_position_grid(given, (3, 6))
    assert_close(traced(given, torch.zeros(3, 6)), expected)


def test_a_grid_that_is_not_square_is_read_by_its_rows():
    """Of 2 x 8 positions, as many as 4 x 4 have, each holds its row: 0 or 1."""
    rows = torch.arange(2.0).repeat_interleave(8)
    given = torch.cat([torch.zeros(1), rows])[:, None]
    assert fit_position_grid(given, (2, 8), learned=(2, 8)) is given
    fitted = fit_position_grid(given, (4, 4), learned=(2, 8))[1:].view(4, 4)
    assert_close(fitted, fitted[:, :1].expand(4, 4))
    assert (fitted[1:, 0] > fitted[:-1, 0]).all()
