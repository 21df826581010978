"""How much each confounder counts in an image, read out of a head."""

from __future__ import annotations

from torch import Tensor

from .confounder_dictionary import ConfounderDictionary
from .decode_heads import CausalInterventionHead


def attends_to_dictionary(head: CausalInterventionHead) -> bool:
    """Whether the head learns how much each confounder counts in an image.

    The other approximations weight entries by P(z), the same for every image, and train
    no attention.
    """
    intervention = head.intervention
    return (
        intervention is not None
        and intervention.attend_to == 'dictionary'
        and intervention.approximation == 'attention'
    )


def image_attention(head: CausalInterventionHead, tokens: Tensor) -> Tensor:
    """Mean weight of each confounder over an image's kept positions.

    Args:
        head: A head for which :func:`attends_to_dictionary` holds.
        tokens: F, (B, N, c).

    Returns:
        (B, M) float32; rows sum to 1.
    """
    dictionary = head.dictionary
    weights = head.intervention.attention_weights(
        tokens, dictionary.entries, dictionary.confounder_prior
    )
    return weights.float().mean(dim=1)


def entry_names(dictionary: ConfounderDictionary) -> tuple[str, ...]:
    """Names of the M entries; entries of a control dictionary are only numbered."""
    names = dictionary.prompts.confounder_names
    if dictionary.source == 'text':
        return names
    return tuple(f'{dictionary.source} {n}' for n in range(1, len(names) + 1))
