"""CDRL: A(F, Z), the causal intervention on region tokens with the dictionary."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mcdrl_mmseg.clip.dense import merge_heads, split_heads

from .kept_result import KeptResult

APPROXIMATIONS = ('attention', 'expectation', 'sampling')
ATTEND_TO = ('dictionary', 'self')
RESIDUALS = ('whole', 'orthogonal')
# Of the mean squared length of confounder differences: keeps words that mean the same
# from making the projection below singular.
_RIDGE = 1e-6
_SMALLEST_RIDGE = 1e-12


def without_confounders(tokens: Tensor, entries: Tensor) -> Tensor:
    """Remove from tokens what tells one confounder from another.

    In a joint image-text space the differences between the confounders' texts span the
    directions along which an image says how it was taken. The tokens lose their
    component in that span, the same for every P(z); all else stays.

    Args:
        tokens: (B, N, d), in the space of the entries.
        entries: Z, (M, d).

    Returns:
        (B, N, d); for a single entry the tokens themselves.
    """
    if len(entries) == 1:
        return tokens
    with torch.autocast(tokens.device.type, enabled=False):
        entries = entries.to(torch.promote_types(entries.dtype, torch.float32))
        differences = entries[1:] - entries[:1]
        gram = differences @ differences.T
        # Never 0, which it would be where all texts mean the same.
        ridge = (_RIDGE * gram.diagonal().mean()).clamp(min=_SMALLEST_RIDGE)
        gram = gram + ridge * torch.eye(len(gram)).to(gram)
        # Without the check of the result, which would wait for the device.
        weights = torch.linalg.solve_ex(gram, differences).result
        own = tokens.to(entries.dtype) @ weights.T @ differences
    return tokens - own.to(tokens.dtype)


class FoldedAttention(NamedTuple):
    """A layer's attention to a dictionary that stays, as two linear maps.

    Attributes:
        logits: (H * M, c) and (H * M,), from a normed token to the logits of all
            entries in all heads: query and keys in one, the scale and log P(z) too.
        values: (c, H * M), from all weights to the token: values and ``out`` in one.
    """

    logits: tuple[Tensor, Tensor]
    values: Tensor


class InterventionLayer(nn.Module):
    """One cross-attention to confounders and one feed-forward block, pre-norm.

    Args:
        embed_dims: c, width of the tokens.
        dictionary_dims: d, width of the entries.
        attention_dims: Width of queries, keys and values.
        num_heads: Attention heads.
        ffn_ratio: Hidden width of the feed-forward block over c.
    """

    def __init__(
        self,
        embed_dims: int,
        dictionary_dims: int,
        attention_dims: int,
        num_heads: int,
        ffn_ratio: float,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_norm = nn.LayerNorm(embed_dims)
        self.query = nn.Linear(embed_dims, attention_dims)
        self.key = nn.Linear(dictionary_dims, attention_dims)
        self.value = nn.Linear(dictionary_dims, attention_dims)
        self.out = nn.Linear(attention_dims, embed_dims)
        hidden = int(embed_dims * ffn_ratio)
        self.ffn = nn.Sequential(
            nn.LayerNorm(embed_dims),
            nn.Linear(embed_dims, hidden),
            nn.GELU(),
            nn.Linear(hidden, embed_dims),
        )

    def _queries_and_keys(self, tokens: Tensor, entries: Tensor) -> tuple:
        query = split_heads(self.query(self.query_norm(tokens)), self.num_heads)
        key = split_heads(self.key(entries), self.num_heads)
        return query, key.expand(tokens.shape[0], -1, -1, -1)

    def forward(
        self, tokens: Tensor, entries: Tensor, log_prior: Tensor | None
    ) -> Tensor:
        """Attend to all entries at once.

        Args:
            tokens: (B, N, c).
            entries: (1 or B, M, d).
            log_prior: (M,), added to the attention logits, or None.

        Returns:
            (B, N, c).
        """
        query, key = self._queries_and_keys(tokens, entries)
        value = split_heads(self.value(entries), self.num_heads).expand_as(key)
        if log_prior is not None:
            log_prior = log_prior.to(query.dtype).view(1, 1, 1, -1)
        attended = F.scaled_dot_product_attention(query, key, value, log_prior)
        tokens = tokens + self.out(merge_heads(attended))
        return tokens + self.ffn(tokens)

    def fold(self, entries: Tensor, log_prior: Tensor) -> FoldedAttention:
        """Multiply out what :meth:`forward` does alike for every token.

        Args:
            entries: (M, d).
            log_prior: (M,).
        """
        key = self.key(entries).unflatten(-1, (self.num_heads, -1))
        value = self.value(entries).unflatten(-1, (self.num_heads, -1))
        scale = key.shape[-1] ** -0.5
        query = self.query.weight.unflatten(0, (self.num_heads, -1))
        query_bias = self.query.bias.unflatten(0, (self.num_heads, -1))
        weight = torch.einsum('mhe,hec->hmc', key, query) * scale
        bias = torch.einsum('mhe,he->hm', key, query_bias) * scale + log_prior
        out = self.out.weight.unflatten(1, (self.num_heads, -1))
        values = torch.einsum('mhe,che->chm', value, out)
        return FoldedAttention(
            (weight.flatten(0, 1), bias.flatten()), values.flatten(1)
        )

    def forward_folded(self, tokens: Tensor, folded: FoldedAttention) -> Tensor:
        """:meth:`forward`, up to rounding, with fewer multiplications.

        Args:
            tokens: (B, N, c).
            folded: Of the same layer.

        Returns:
            (B, N, c).
        """
        logits = F.linear(self.query_norm(tokens), *folded.logits)
        weights = logits.unflatten(-1, (self.num_heads, -1)).softmax(dim=-1)
        tokens = tokens + F.linear(weights.flatten(-2), folded.values, self.out.bias)
        return tokens + self.ffn(tokens)

    def contribution(self, entries: Tensor) -> Tensor:
        """What :meth:`given` adds for an entry, (..., d) -> (..., c)."""
        return self.out(self.value(entries))

    def given(self, tokens: Tensor, contribution: Tensor) -> Tensor:
        """Attend to one entry at a time: softmax over a single key is 1.

        Args:
            tokens: (B, S or 1, N, c).
            contribution: (1 or B, S, c), :meth:`contribution` of the entry of each of
                S interventions.

        Returns:
            (B, S, N, c).
        """
        tokens = tokens + contribution.unsqueeze(2)
        return tokens + self.ffn(tokens)

    def attention_weights(
        self, tokens: Tensor, entries: Tensor, log_prior: Tensor
    ) -> Tensor:
        """Weights that :meth:`forward` gives to the entries, (B, heads, N, M)."""
        query, key = self._queries_and_keys(tokens, entries)
        logits = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        return (logits + log_prior).softmax(dim=-1)


@MODELS.register_module()
class CausalIntervention(BaseModule):
    """Stack of intervention layers: F_ca = A(F, Z), step 3 of arXiv 2508.05008.

    With A(F, z) the stack that meets the single confounder z, the three ways to the
    back-door adjustment E_z[A(F, z)] are

    - ``attention``: softmax(q k^T / sqrt(c_head) + log P(z)) V in every layer, the
      paper's form. A uniform prior leaves the paper's formula unchanged.
    - ``expectation``: sum_m P(z_m) A(F, z_m), exact over the M entries.
    - ``sampling``: in training the mean of A(F, z) over ``num_samples`` confounders
      drawn from P(z) for each image, an unbiased estimate of the expectation: the
      mixture of confounders that the image attends to is replaced by a drawn one. In
      evaluation the expectation.

    The last two weigh entries by P(z) and not by the image, so that their query
    and key projections have no effect; they are kept, for checkpoints to be
    exchangeable between the forms, and not trained.

    Args:
        embed_dims: c, width of the region tokens.
        dictionary_dims: d, width of the dictionary's entries.
        num_layers: Layers, 1 or more; 1 to 5 in the paper, 3 its choice.
        num_heads: Attention heads; divides ``attention_dims``.
        attention_dims: Width of queries, keys and values; None takes ``embed_dims``.
            A smaller one, with a smaller ``ffn_ratio``, keeps the intervention on a
            wide backbone (ResNet-50 has 2048 channels) from outweighing it.
        ffn_ratio: Hidden width of a feed-forward block over ``embed_dims``.
        approximation: See above.
        num_samples: Confounders drawn for each image by ``sampling``.
        attend_to: ``'dictionary'``, or ``'self'``: the tokens attend to each other,
            a control of equal size without confounders.
        residual: ``'whole'`` carries F past every layer, as the paper does, and with
            it the image's own confounders. ``'orthogonal'`` first removes what F says
            of them (:func:`without_confounders`), so that what F_ca holds of
            confounders comes from Z and not from the image. It needs features in the
            joint space: ``embed_dims`` equal to ``dictionary_dims``.
        observe_confounders: Learn A(F, z) with the z of each image: in training the
            tokens are told, by a learned direction for each entry, how much CLIP sees
            of it in the image (:class:`ConfounderScores`). The network need not
            then learn from F what went with z at the training sites. Inference puts
            the scores' mean over the training images, 0, in their place for all
            images: the adjustment sum_z P(Y|F, z) P(z), its mean taken inside.
        gate: Initial value of the gate in [0, 1] that multiplies the
            intervention; :class:`InterventionWarmupHook` moves it.
        init_cfg: MMEngine's initialisation config; the default is small enough for
            the intervention to begin near the identity.

    Raises:
        ValueError: An argument outside its range.
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
        self._check(
            attention_dims, num_layers, num_heads, approximation, num_samples, attend_to
        )
        self._check_residual(residual, attend_to, embed_dims, dictionary_dims)
        if observe_confounders and attend_to == 'self':
            raise ValueError(
                "CausalIntervention: observe_confounders needs attend_to='dictionary'."
            )
        if not 0 <= gate <= 1:
            raise ValueError(f'CausalIntervention: gate={gate} must lie in [0, 1].')
        self.approximation = approximation
        self.num_samples = num_samples
        self.attend_to = attend_to
        self.residual = residual
        if attend_to == 'self':
            dictionary_dims = embed_dims
        # Unit vectors of width d have entries of size d ** -0.5: without a norm the
        # first attention is all but uniform.
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
        # Neither a buffer nor saved: it follows from the weights and the dictionary.
        self._projections = KeptResult()
        if approximation != 'attention':
            for layer in self.layers:
                for module in (layer.query_norm, layer.query, layer.key):
                    module.requires_grad_(False)

    @staticmethod
    def _check(
        attention_dims: int,
        num_layers: int,
        num_heads: int,
        approximation: str,
        num_samples: int,
        attend_to: str,
    ) -> None:
        problems = []
        if num_layers < 1:
            problems.append(f'num_layers={num_layers} must be at least 1')
        if num_heads < 1 or attention_dims % num_heads:
            problems.append(f'num_heads={num_heads} must divide {attention_dims=}')
        if approximation not in APPROXIMATIONS:
            problems.append(f'{approximation=} must be one of {APPROXIMATIONS}')
        if num_samples < 1:
            problems.append(f'num_samples={num_samples} must be at least 1')
        if attend_to not in ATTEND_TO:
            problems.append(f'{attend_to=} must be one of {ATTEND_TO}')
        if attend_to == 'self' and approximation != 'attention':
            problems.append("attend_to='self' needs approximation='attention'")
        if problems:
            raise ValueError(f'CausalIntervention: {"; ".join(problems)}.')

    @staticmethod
    def _check_residual(
        residual: str, attend_to: str, embed_dims: int, dictionary_dims: int
    ) -> None:
        if residual not in RESIDUALS:
            raise ValueError(
                f'CausalIntervention: {residual=} must be one of {RESIDUALS}.'
            )
        if residual == 'orthogonal' and (
            attend_to == 'self' or embed_dims != dictionary_dims
        ):
            raise ValueError(
                "CausalIntervention: residual='orthogonal' needs attend_to="
                f"'dictionary' and features in CLIP's joint space, of width "
                f'{dictionary_dims}; got attend_to={attend_to!r} and {embed_dims=}. '
                "Intervene on the dense map (in_index=-2), or set residual='whole'."
            )

    def _enter(self, tokens: Tensor, entries: Tensor) -> Tensor:
        if self.residual == 'orthogonal':
            return without_confounders(tokens, entries)
        return tokens

    def forward(
        self,
        tokens: Tensor,
        entries: Tensor,
        prior: Tensor,
        scores: Tensor | None = None,
    ) -> Tensor:
        """Intervene.

        Args:
            tokens: F, ``region_tokens`` (B, N, c).
            entries: Z, (M, d).
            prior: P(z), (M,), sums to 1.
            scores: What is observed of each confounder in each image, (B, M), where
                ``observe_confounders`` is set; None stands for their mean.

        Returns:
            F_ca, ``intervened_tokens`` (B, N, c), before the gate.

        Raises:
            ValueError: Scores for a module that does not observe confounders.
        """
        if self.attend_to == 'self':
            for layer in self.layers:
                tokens = layer(tokens, self.entry_norm(tokens), None)
            return tokens
        tokens = self._enter(tokens, entries)
        if scores is not None:
            tokens = tokens + self._told(scores, entries).to(tokens.dtype)
        if self.approximation == 'attention':
            return self._attend(tokens, entries, prior)
        contributions = self._contributions(entries)
        if self.approximation == 'sampling' and self.training:
            drawn = prior.expand(len(tokens), -1)
            drawn = drawn.multinomial(self.num_samples, replacement=True)
            contributions = [each[drawn] for each in contributions]
            return self._given(tokens, contributions).mean(dim=1)
        given = self._given(tokens, [each.unsqueeze(0) for each in contributions])
        # In the tokens' own precision: autocast would give them float16's range.
        with torch.autocast(given.device.type, enabled=False):
            return torch.einsum('bmnc,m->bnc', given, prior.to(given.dtype))

    def _told(self, scores: Tensor, entries: Tensor) -> Tensor:
        """What is observed of an image's confounders, for its tokens: (B, 1, c)."""
        if self.observed is None:
            raise ValueError(
                'CausalIntervention: scores were given, which only a module with '
                'observe_confounders=True uses.'
            )
        directions = self.observed(self.entry_norm(entries))
        return (scores.to(directions.dtype) @ directions).unsqueeze(1)

    def _attend(self, tokens: Tensor, entries: Tensor, prior: Tensor) -> Tensor:
        # Folded, a token costs two products a head and entry instead of two a width.
        layer = self.layers[0]
        narrow = layer.num_heads * len(entries) <= layer.query.out_features
        if narrow and self._is_inference():
            folded = self._projections.get(
                [prior, *self._sources(entries)], lambda: self._fold(entries, prior)
            )
            for layer, attention in zip(self.layers, folded):
                tokens = layer.forward_folded(tokens, attention)
            return tokens
        entries, log_prior = self.entry_norm(entries).unsqueeze(0), prior.log()
        for layer in self.layers:
            tokens = layer(tokens, entries, log_prior)
        return tokens

    def _fold(self, entries: Tensor, prior: Tensor) -> list[FoldedAttention]:
        entries, log_prior = self.entry_norm(entries), prior.log()
        return [layer.fold(entries, log_prior) for layer in self.layers]

    def _contributions(self, entries: Tensor) -> list[Tensor]:
        """What every layer adds for each entry, (M, c)."""

        def compute() -> list[Tensor]:
            normed = self.entry_norm(entries)
            return [layer.contribution(normed) for layer in self.layers]

        if self._is_inference():
            return self._projections.get(self._sources(entries), compute)
        return compute()

    def _is_inference(self) -> bool:
        return not (self.training or torch.is_grad_enabled())

    def _sources(self, entries: Tensor) -> list[Tensor]:
        parts = [self.entry_norm]
        for layer in self.layers:
            parts += [layer.query, layer.key, layer.value, layer.out]
        return [entries, *(p for part in parts for p in part.parameters())]

    def train(self, mode: bool = True) -> CausalIntervention:
        """Set the mode. Projections are computed anew in evaluation."""
        self._projections.drop()
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> CausalIntervention:
        # Moves and casts put other values into the same parameters.
        self._projections.drop()
        return super()._apply(*args, **kwargs)

    def _given(self, tokens: Tensor, contributions: list[Tensor]) -> Tensor:
        """A(F, z) for each of S entries: (B, N, c), (1 or B, S, c) -> (B, S, N, c)."""
        tokens = tokens.unsqueeze(1)
        for layer, contribution in zip(self.layers, contributions):
            tokens = layer.given(tokens, contribution)
        return tokens

    def intervene_on(self, tokens: Tensor, entries: Tensor) -> Tensor:
        """A(F, z_m) under do(z = z_m), for every entry.

        Args:
            tokens: F, (B, N, c).
            entries: Z, (M, d).

        Returns:
            (B, M, N, c).
        """
        normed = self.entry_norm(entries).unsqueeze(0)
        contributions = [layer.contribution(normed) for layer in self.layers]
        return self._given(self._enter(tokens, entries), contributions)

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
        tokens = self._enter(tokens, entries)
        entries, log_prior = self.entry_norm(entries).unsqueeze(0), prior.log()
        weights = []
        for layer in self.layers:
            weights.append(layer.attention_weights(tokens, entries, log_prior).mean(1))
            tokens = layer(tokens, entries, log_prior)
        return torch.stack(weights).mean(dim=0)

    def gated(self, tokens: Tensor, intervened: Tensor) -> Tensor:
        """F + gate * (F_ca - F): exactly F at gate 0 and F_ca at gate 1."""
        gate = self.gate.to(tokens.dtype)
        return torch.lerp(tokens, intervened.to(tokens.dtype), gate)
