"""CDRL: F_ca = E_z[A(F, z)], the causal intervention on region tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mcdrl_mmseg.models.tensor_cache import CachingModule, ModuleCache

from .confounder_span import ConfounderSpan, confounder_span, remove_span
from .intervention_layer import InterventionLayer

if TYPE_CHECKING:
    from .folded_attention import FoldedLayer

APPROXIMATIONS = ('attention', 'expectation', 'sampling')
ATTEND_TO = ('dictionary', 'self')
RESIDUALS = ('whole', 'orthogonal')


@MODELS.register_module()
class CausalIntervention(CachingModule, BaseModule):
    """Stack of intervention layers, CDRL: step 3 of MCDRL (arXiv 2508.05008).

    Back-door adjustment over the dictionary Z, with H the predictor behind it:

        P(Y | do(F)) = sum_z P(Y | F, z) P(z) ~ H(F_ca),    F_ca = E_z[A(F, z)]

    A(F, z) is the stack that attends to the single confounder z, A(F, Z) the one that
    attends to all of them. ``approximation`` says how E_z is taken:

    - ``attention``: A(F, Z), with softmax(q k^T / sqrt(c_head) + log P(z)) V in every
      layer. The paper's form: a uniform prior leaves its formula unchanged.
    - ``expectation``: sum_m P(z_m) A(F, z_m), exact over the M entries.
    - ``sampling``: in training the mean of A(F, z) over ``num_samples`` confounders
      drawn from P(z) for each image, an unbiased estimate of the expectation. In
      evaluation the expectation.

    The last two weight the entries by P(z) and not by the image, so their query and key
    projections have no effect. The projections exist, untrained, so that a checkpoint
    of one form loads into another.

    Args:
        embed_dims: c, width of the region tokens.
        dictionary_dims: d, width of the dictionary's entries.
        num_layers: Layers, 1 or more; the paper tries 1 to 5 and chooses 3.
        num_heads: Attention heads; must divide ``attention_dims``.
        attention_dims: Width of queries, keys and values; None takes ``embed_dims``.
            On a wide backbone (ResNet-50 has 2048 channels) a smaller width, with a
            smaller ``ffn_ratio``, keeps the intervention smaller than the backbone.
        ffn_ratio: Hidden width of a feed-forward block over ``embed_dims``.
        approximation: See above.
        num_samples: Confounders drawn for each image by ``sampling``.
        attend_to: ``'dictionary'``, or ``'self'``: the tokens attend to each other,
            a control of equal size without confounders.
        residual: ``'whole'`` carries F past every layer, as the paper does, and with
            it the image's own confounders. ``'orthogonal'`` first removes their span
            from F (:func:`remove_span`), so that what F_ca holds of
            confounders comes from Z and not from the image. It needs features in the
            joint space: ``embed_dims`` equal to ``dictionary_dims``.
        observe_confounders: Learn A(F, z) with the z of each image. In training
            sum_m u_m(x) W z_m is added to the tokens, with u CLIP's scores of the
            image (:class:`ConfounderScores`) and W learned. The network then need not
            learn from F what z predicts at the training sites. Inference replaces u
            by its mean over the training images, 0: the sum over z is taken inside
            the network.
        gate: Initial value of the gate in [0, 1] that multiplies the
            intervention; :class:`InterventionWarmupHook` moves it.
        init_cfg: MMEngine's initialisation config. The default weights are small, so
            that the intervention starts near the identity.

    Raises:
        ValueError: An argument outside its range.

    Examples:
        >>> decode_head = dict(
        ...     intervention=dict(
        ...         type='CausalIntervention',
        ...         num_layers=3,
        ...         approximation='attention',
        ...         gate=0.0))
    """

    def __init__(
        self,
        embed_dims: int,
        dictionary_dims: int,
        num_layers: int = 3,
        num_heads: int = 8,
        attention_dims: int | None = None,
        ffn_ratio: float = 1.0,
        approximation: str = 'attention',
        num_samples: int = 1,
        attend_to: str = 'dictionary',
        residual: str = 'whole',
        observe_confounders: bool = False,
        gate: float = 1.0,
        init_cfg: dict | None = dict(type='TruncNormal', layer='Linear', std=0.02),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg)
        attention_dims = attention_dims or embed_dims
        _check_arguments(
            embed_dims=embed_dims,
            dictionary_dims=dictionary_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            attention_dims=attention_dims,
            approximation=approximation,
            num_samples=num_samples,
            attend_to=attend_to,
            residual=residual,
            observe_confounders=observe_confounders,
            gate=gate,
        )
        self.approximation = approximation
        self.num_samples = num_samples
        self.attend_to = attend_to
        self.residual = residual
        if attend_to == 'self':
            dictionary_dims = embed_dims
        # Entries are unit vectors, with components of about d ** -0.5. Without a norm
        # the initial attention would be nearly uniform.
        self.entry_norm = nn.LayerNorm(dictionary_dims)
        self.observed: nn.Linear | None = None
        if observe_confounders:
            self.observed = nn.Linear(dictionary_dims, embed_dims, bias=False)
        self.layers = nn.ModuleList(
            InterventionLayer(
                embed_dims, dictionary_dims, attention_dims, num_heads, ffn_ratio
            )
            for _ in range(num_layers)
        )
        self.register_buffer('gate', torch.tensor(float(gate)))
        # Not a buffer and not saved: computed from the weights and the dictionary.
        self._cache = ModuleCache()
        if approximation != 'attention':
            for layer in self.layers:
                for module in (layer.query_norm, layer.query, layer.key):
                    module.requires_grad_(False)

    def forward(
        self,
        tokens: Tensor,
        entries: Tensor,
        prior: Tensor,
        scores: Tensor | None = None,
    ) -> Tensor:
        """F_ca = E_z[A(F, z)].

        Args:
            tokens: F, ``region_tokens`` (B, N, c).
            entries: Z, (M, d).
            prior: P(z), (M,), sums to 1.
            scores: u, CLIP's score of each confounder in each image, (B, M), for
                ``observe_confounders``; None stands for its mean, 0.

        Returns:
            F_ca, ``intervened_tokens`` (B, N, c), before the gate.

        Raises:
            ValueError: Scores for a module that does not observe confounders.
        """
        if self.attend_to == 'self':
            return self._self_attention(tokens)
        tokens = self._residual_tokens(tokens, entries)
        if scores is not None:
            observed = self._observed_confounders(scores, entries)
            tokens = tokens + observed.to(tokens.dtype)
        if self.approximation == 'attention':
            return self._attention(tokens, entries, prior)
        if self.approximation == 'sampling' and self.training:
            return self._sampling(tokens, entries, prior)
        return self._expectation(tokens, entries, prior)

    def _attention(self, tokens: Tensor, entries: Tensor, prior: Tensor) -> Tensor:
        """A(F, Z): softmax(q k^T / sqrt(c_head) + log P(z)) V in every layer."""
        layer = self.layers[0]
        folding_pays = layer.num_heads * len(entries) <= layer.query.out_features
        if folding_pays and self._may_keep():
            # Imported late: neither registering nor training needs it.
            from .folded_attention import folded_forward

            rows = tokens.flatten(0, 1)
            for layer, folded in zip(self.layers, self._folded(entries, prior)):
                rows = folded_forward(layer, rows, folded)
            return rows.view_as(tokens)
        entries, log_prior = self.entry_norm(entries).unsqueeze(0), prior.log()
        for layer in self.layers:
            tokens = layer(tokens, entries, log_prior)
        return tokens

    def _expectation(self, tokens: Tensor, entries: Tensor, prior: Tensor) -> Tensor:
        """sum_m P(z_m) A(F, z_m)."""
        attended = [each.unsqueeze(0) for each in self._attended(entries)]
        intervened = self._attend_to_each(tokens, attended)
        # In the tokens' own precision: under autocast einsum could overflow float16.
        with torch.autocast(intervened.device.type, enabled=False):
            return torch.einsum('bmnc,m->bnc', intervened, prior.to(intervened.dtype))

    def _sampling(self, tokens: Tensor, entries: Tensor, prior: Tensor) -> Tensor:
        """Mean over s of A(F, z_s), with z_s drawn from P(z) for each image."""
        attended = self._attended(entries)
        drawn = prior.expand(len(tokens), -1)
        drawn = drawn.multinomial(self.num_samples, replacement=True)
        return self._attend_to_each(tokens, [each[drawn] for each in attended]).mean(1)

    def _attend_to_each(self, tokens: Tensor, attended: list[Tensor]) -> Tensor:
        """A(F, z) for each of S entries.

        Args:
            tokens: F, (B, N, c).
            attended: For each layer (1 or B, S, c), attention's output for the entry.

        Returns:
            (B, S, N, c).
        """
        tokens = tokens.unsqueeze(1)
        for layer, each in zip(self.layers, attended):
            tokens = layer.add_attended(tokens, each.unsqueeze(2))
        return tokens

    def _self_attention(self, tokens: Tensor) -> Tensor:
        """The control without confounders."""
        for layer in self.layers:
            tokens = layer(tokens, self.entry_norm(tokens), None)
        return tokens

    def _residual_tokens(self, tokens: Tensor, entries: Tensor) -> Tensor:
        """F; for the orthogonal residual without its part in the confounders' span."""
        if self.residual == 'orthogonal':
            return remove_span(tokens, self._confounder_span(entries))
        return tokens

    def _confounder_span(self, entries: Tensor) -> ConfounderSpan:
        """The entries' span, cached unless the entries are being trained."""
        if entries.requires_grad and torch.is_grad_enabled():
            return confounder_span(entries)
        return self._cache.get('span', lambda: confounder_span(entries), (), [entries])

    def _observed_confounders(self, scores: Tensor, entries: Tensor) -> Tensor:
        """sum_m u_m W z_m, the image's own confounders, (B, 1, c)."""
        if self.observed is None:
            raise ValueError(
                'CausalIntervention: scores were given, but observe_confounders=False '
                'does not use them.'
            )
        directions = self.observed(self.entry_norm(entries))
        return (scores.to(directions.dtype) @ directions).unsqueeze(1)

    def gated(self, tokens: Tensor, intervened: Tensor) -> Tensor:
        """F + g (F_ca - F): exactly F at gate g = 0 and F_ca at g = 1."""
        gate = self.gate.to(tokens.dtype)
        return torch.lerp(tokens, intervened.to(tokens.dtype), gate)

    def intervene_on(self, tokens: Tensor, entries: Tensor) -> Tensor:
        """A(F, z_m) under do(z = z_m), for every entry.

        Args:
            tokens: F, (B, N, c).
            entries: Z, (M, d).

        Returns:
            (B, M, N, c).
        """
        attended = [each.unsqueeze(0) for each in self._attend_to_one(entries)]
        return self._attend_to_each(self._residual_tokens(tokens, entries), attended)

    def attention_weights(
        self, tokens: Tensor, entries: Tensor, prior: Tensor
    ) -> Tensor:
        """Weights that the attention form gives to the confounders.

        Args:
            tokens: F, (B, N, c).
            entries: Z, (M, d).
            prior: P(z), (M,).

        Returns:
            (B, N, M), the mean over layers and heads; rows sum to 1.
        """
        tokens = self._residual_tokens(tokens, entries)
        entries, log_prior = self.entry_norm(entries).unsqueeze(0), prior.log()
        weights = []
        for layer in self.layers:
            weights.append(layer.attention_weights(tokens, entries, log_prior).mean(1))
            tokens = layer(tokens, entries, log_prior)
        return torch.stack(weights).mean(dim=0)

    # Below: results that depend on dictionary and weights alone, cached in inference.

    def _attend_to_one(self, entries: Tensor) -> list[Tensor]:
        """For each layer (M, c), attention's output for each entry alone."""
        entries = self.entry_norm(entries)
        return [layer.attend_to_one(entries) for layer in self.layers]

    def _attended(self, entries: Tensor) -> list[Tensor]:
        """Like :meth:`_attend_to_one`, but cached in inference."""

        def attend() -> list[Tensor]:
            return self._attend_to_one(entries)

        if not self._may_keep():
            return attend()
        return self._cache.get('attended', attend, self._parts, [entries])

    def _folded(self, entries: Tensor, prior: Tensor) -> list[FoldedLayer]:
        """All layers folded, from the cache."""

        def fold() -> list[FoldedLayer]:
            from .folded_attention import fold_layer

            normed, log_prior = self.entry_norm(entries), prior.log()
            return [fold_layer(layer, normed, log_prior) for layer in self.layers]

        return self._cache.get('folded', fold, self._parts, [prior, entries])

    @property
    def _parts(self) -> tuple[nn.Module, ...]:
        return self.entry_norm, self.layers

    def _may_keep(self) -> bool:
        """Whether cached results may replace the layers' own forward passes."""
        if self.training or torch.is_grad_enabled():
            return False
        return torch.compiler.is_compiling() or self._cache.may_replace(*self._parts)


def _check_arguments(
    *,
    embed_dims: int,
    dictionary_dims: int,
    num_layers: int,
    num_heads: int,
    attention_dims: int,
    approximation: str,
    num_samples: int,
    attend_to: str,
    residual: str,
    observe_confounders: bool,
    gate: float,
) -> None:
    """Raise a ValueError that names all invalid arguments."""
    attends_to_self = attend_to == 'self'
    in_joint_space = embed_dims == dictionary_dims
    checks = {
        f'num_layers={num_layers} must be at least 1': num_layers >= 1,
        f'num_heads={num_heads} must divide {attention_dims=}': (
            num_heads >= 1 and attention_dims % num_heads == 0
        ),
        f'{approximation=} must be one of {APPROXIMATIONS}': (
            approximation in APPROXIMATIONS
        ),
        f'num_samples={num_samples} must be at least 1': num_samples >= 1,
        f'{attend_to=} must be one of {ATTEND_TO}': attend_to in ATTEND_TO,
        "attend_to='self' needs approximation='attention'": (
            not attends_to_self or approximation == 'attention'
        ),
        f'{residual=} must be one of {RESIDUALS}': residual in RESIDUALS,
        "residual='orthogonal' needs attend_to='dictionary' and features in CLIP's "
        f'joint space, of width {dictionary_dims}; got {attend_to=} and {embed_dims=}. '
        "Intervene on the dense map (in_index=-2), or set residual='whole'": (
            residual != 'orthogonal' or (in_joint_space and not attends_to_self)
        ),
        "observe_confounders needs attend_to='dictionary'": (
            not observe_confounders or not attends_to_self
        ),
        f'gate={gate} must lie in [0, 1]': 0 <= gate <= 1,
    }
    problems = [message for message, holds in checks.items() if not holds]
    if problems:
        raise ValueError(f'CausalIntervention: {"; ".join(problems)}.')
