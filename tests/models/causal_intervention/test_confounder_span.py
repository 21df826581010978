import torch
from torch.testing import assert_close

from mcdrl_mmseg.models.causal_intervention import remove_confounder_span


def test_component_along_a_difference_of_two_entries_is_removed():
    """z_2 - z_1 = (2, 0, 0): the first coordinate goes, the others stay."""
    entries = torch.tensor([[1.0, 5.0, 0.0], [3.0, 5.0, 0.0]])
    tokens = torch.tensor([[[7.0, -2.0, 4.0]]])
    expected = torch.tensor([[[0.0, -2.0, 4.0]]])
    assert_close(remove_confounder_span(tokens, entries), expected, atol=1e-4, rtol=0)


def test_tokens_become_orthogonal_to_all_differences_between_confounders(
    joint_tokens, entries
):
    cleaned = remove_confounder_span(joint_tokens, entries).double()
    centred = entries - entries.mean(dim=0)
    assert (cleaned @ centred.T).abs().max() < 1e-5
    # An independent projector, from the singular vectors of the centred entries.
    basis = torch.linalg.svd(centred.T, full_matrices=False)[0][:, : len(entries) - 1]
    expected = joint_tokens - joint_tokens @ basis @ basis.T
    assert_close(cleaned, expected, atol=1e-5, rtol=0)


def test_identical_entries_do_not_make_the_projection_singular(joint_tokens):
    entries = torch.randn(1, 4, dtype=torch.float64).expand(4, -1).clone()
    entries[3] += 1
    assert remove_confounder_span(joint_tokens, entries).isfinite().all()


def test_a_dictionary_of_one_entry_removes_nothing(joint_tokens, entries):
    assert torch.equal(remove_confounder_span(joint_tokens, entries[:1]), joint_tokens)
