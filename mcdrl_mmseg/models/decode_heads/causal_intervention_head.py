"""CausalInterventionHead: MTRS and CDRL in front of any decode head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from mmseg.utils import ConfigType
from torch import Tensor, nn

from mcdrl_mmseg.models.feature_levels import (
    BareMap,
    Features,
    Level,
    map_of,
    with_map,
)
from mcdrl_mmseg.models.region_selector import (
    gather_tokens,
    lesion_over_healthy,
    scatter_tokens,
)

from .predictor_wrapper import PredictorWrapper, use_all_outputs


class InterventionOutput(NamedTuple):
    """What :meth:`CausalInterventionHead.intervene` returns for a batch.

    Indices and tokens belong to the leading map, the last one of ``in_index``.

    Attributes:
        features: Maps for the predictor, the intervened ones among them.
        similarity: S, (B, K, h, w), or None without a selector.
        indices: (B, N) kept positions, or None without a selector.
        region_tokens: F, (B, N, c).
        intervened_tokens: F_ca, (B, N, c), before the gate; F without CDRL.
    """

    features: Features | Tensor
    similarity: Tensor | None
    indices: Tensor | None
    region_tokens: Tensor
    intervened_tokens: Tensor


# Configs of old checkpoints have the second name, of a former class for cascades.
@MODELS.register_module(
    name=['CausalInterventionHead', 'CausalInterventionCascadeHead']
)
class CausalInterventionHead(PredictorWrapper):
    """MCDRL (arXiv 2508.05008): select regions, intervene on them, then segment.

    :meth:`intervene` is the method: step 1, the region selection (MTRS), and step 3,
    the causal intervention (CDRL) with the dictionary of step 2.

    The input is the tuple of a :class:`CLIPVisionBackbone` or
    :class:`CLIPGuidedBackbone`, whose last two entries are CLIP's dense map and image
    embedding. The predictor H is any registered decode head. It gets the levels before
    these two, with the intervened map in place of its level. An intervened dense map
    (``in_index=-2``) comes after the levels, as the last map. With ``similarity_map``
    one more map follows, of one channel.

    The head can be the last one of a ``CascadeEncoderDecoder``; its predictor is then
    the cascade's last stock head, as ``OCRHead`` or ``PointHead``. The heads before it
    are stock heads and read the maps without intervention.

    Args:
        predictor: Config of the decode head; its ``in_index`` counts the maps that the
            predictor gets.
        dictionary: Config of a :class:`ConfounderDictionary`.
        in_channels: c, width of the map to intervene on; a sequence for several maps.
        in_index: Which entry of the backbone's tuple to intervene on; -2 is CLIP's
            dense map, as in the paper. Each of several maps has its own intervention.
            The last one named is the leading map: ``loss_causal`` and explanations
            refer to it.
        region_selector: Config of a :class:`CLIPRegionSelector`, or None to
            intervene on every position (the paper's "without MTRS").
        intervention: Config of a :class:`CausalIntervention`, whose widths the head
            fills in, or None for none (the paper's "without CDRL").
        unselected: ``'keep'`` leaves positions that were not selected as they are,
            ``'zero'`` sets them to 0 as the gate opens.
        similarity_map: Whether the predictor also gets a map of how much more each
            position resembles a lesion's text than the text of healthy tissue: S^ minus
            the highest similarity to the background prompts, multiplied by CLIP's logit
            scale and the gate. Such score maps are DenseCLIP's (arXiv 2112.01518); the
            paper uses S for the selection only. A predictor reads both maps with
            ``in_index=[-2, -1], input_transform='resize_concat'``.
        loss_causal: Config of a :class:`CausalAlignmentLoss`, or None.
        loss_contrast: Config of a :class:`CLIPContrastiveLoss`, or None.
        init_cfg: MMEngine's initialisation config; rarely needed.

    Raises:
        ValueError: Unknown ``unselected``, an ``in_index`` that names the image
            embedding or another number of maps than ``in_channels``, or
            ``similarity_map`` without a selector or background prompts.

    Examples:
        >>> model = dict(
        ...     decode_head=dict(
        ...         type='CausalInterventionHead',
        ...         in_channels=512,
        ...         dictionary=dict(
        ...             type='ConfounderDictionary',
        ...             prompts=dict(
        ...                 classes=['polyp'],
        ...                 confounders=dict(lighting=['bright light', 'dark light']),
        ...                 background_prompts=['Normal mucosa']),
        ...             embed_dims=512),
        ...         region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        ...         intervention=dict(type='CausalIntervention', num_layers=3),
        ...         loss_causal=dict(type='CausalAlignmentLoss', normalize=True),
        ...         loss_contrast=dict(type='CLIPContrastiveLoss'),
        ...         predictor=dict(
        ...             type='FCNHead',
        ...             in_channels=512,
        ...             in_index=-1,
        ...             channels=256,
        ...             num_classes=2)))
    """

    def __init__(
        self,
        predictor: ConfigType,
        dictionary: ConfigType,
        in_channels: int | Sequence[int],
        in_index: int | Sequence[int] = -2,
        region_selector: ConfigType | None = dict(type='CLIPRegionSelector'),  # noqa: B006
        intervention: ConfigType | None = dict(type='CausalIntervention'),  # noqa: B006
        unselected: str = 'keep',
        similarity_map: bool = False,
        loss_causal: ConfigType | None = dict(type='CausalAlignmentLoss'),  # noqa: B006
        loss_contrast: ConfigType | None = dict(type='CLIPContrastiveLoss'),  # noqa: B006
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(predictor, init_cfg)
        if unselected not in ('keep', 'zero'):
            raise ValueError(
                f"CausalInterventionHead: unselected={unselected!r} must be 'keep' or "
                "'zero'."
            )
        self.in_indices = _as_tuple(in_index)
        *further_widths, width = _widths(in_channels, in_index)
        self.in_index = self.in_indices[-1]
        self.unselected = unselected
        self.dictionary = MODELS.build(dictionary)
        self.region_selector = _build(region_selector)
        self.similarity_map = similarity_map
        if similarity_map:
            self._check_similarity_map()
        dims = self.dictionary.embed_dims
        self.intervention = _build(intervention, embed_dims=width, dictionary_dims=dims)
        # Interventions on the maps before the leading one. Empty for a single map: the
        # state dict then has no such keys.
        self.further_interventions = nn.ModuleList(
            _build(intervention, embed_dims=each, dictionary_dims=dims)
            for each in further_widths
            if intervention is not None
        )
        self.confounder_scores = None
        if self.intervention is not None and self.intervention.observed is not None:
            # Imported late: few configs observe confounders.
            from mcdrl_mmseg.models.confounder_scores import ConfounderScores

            names = self.dictionary.prompts.confounder_names
            self.confounder_scores = ConfounderScores(len(names))
        self.loss_causal = _build(loss_causal)
        self.loss_contrast = _build(loss_contrast)
        # t_km is in the joint space; features of another backbone are not.
        self.causal_projection = nn.Identity()
        if self.loss_causal is not None and width != dims:
            self.causal_projection = nn.Linear(width, dims)

    @property
    def interventions(self) -> list[nn.Module]:
        """One for each of ``in_indices``, the leading one last; empty without CDRL."""
        if self.intervention is None:
            return []
        return [*self.further_interventions, self.intervention]

    def leading_map(self, inputs: Features) -> Tensor:
        """The map that explanations refer to.

        Args:
            inputs: The backbone's tuple.

        Returns:
            (B, c, h, w), before the intervention.
        """
        index = 0 if isinstance(inputs, BareMap) else self.in_index
        return map_of(inputs[index])

    def intervene(self, inputs: Features) -> InterventionOutput:
        """Steps 1 and 3 of the method on a batch.

        Args:
            inputs: The backbone's tuple: levels, C and the image embedding.

        Returns:
            See :class:`InterventionOutput`.

        Raises:
            DictionaryError: The dictionary is not built.
            ValueError: The backbone returns one bare map although several are needed,
                or fewer levels than ``in_index`` names.
        """
        *maps, dense_features, image_embedding = inputs
        self.dictionary.check_built()
        scores = self._observed_scores(image_embedding)
        if isinstance(inputs, BareMap):
            self._check_bare_map()
            indices = [0]
        else:
            self._check_levels(len(inputs))
            indices = [i % len(inputs) for i in self.in_indices]
        interventions = self.interventions or [None] * len(indices)
        for index, intervention in zip(indices, interventions, strict=True):
            result, state = self._intervene_on(
                inputs[index], intervention, dense_features, scores
            )
            if index == len(inputs) - 2:  # the dense map, appended after the levels
                maps.append(result)
            else:
                maps[index] = result
        if self.similarity_map:
            lesions = lesion_over_healthy(
                state.similarity, dense_features, self.dictionary.background_embeddings
            )
            maps.append((lesions * self._gate(lesions)).to(map_of(result).dtype))
        features = maps[0] if isinstance(inputs, BareMap) else tuple(maps)
        return state._replace(features=features)

    def _intervene_on(
        self,
        level: Level,
        intervention: nn.Module | None,
        dense_features: Tensor,
        scores: Tensor | None,
    ) -> tuple[Level, InterventionOutput]:
        """One level with the intervention in it, and the steps' results."""
        feature = map_of(level)
        # Step 1, MTRS: F, the N positions that are most similar to a lesion's text.
        similarity, indices, tokens = self._select_regions(feature, dense_features)
        intervened = gated = tokens
        if intervention is not None:
            # Step 3, CDRL: F_ca = E_z[A(F, z)], z from the dictionary under P(z).
            z, prior = self.dictionary.entries, self.dictionary.confounder_prior
            intervened = intervention(tokens, z, prior, scores)
            # F + g (F_ca - F).
            gated = intervention.gated(tokens, intervened)
        # Scatter the tokens back into their map.
        result = self._put_back(feature, indices, gated)
        state = InterventionOutput((), similarity, indices, tokens, intervened)
        return with_map(level, result), state

    def _select_regions(
        self, feature: Tensor, dense_features: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """S, kept positions and F; without a selector F holds all positions."""
        if self.region_selector is None:
            return None, None, feature.flatten(2).transpose(1, 2)
        similarity, indices = self.region_selector(
            dense_features, self.dictionary.class_embeddings, grid=feature.shape[2:]
        )
        return similarity, indices, gather_tokens(feature, indices)

    def _observed_scores(self, image_embedding: Tensor) -> Tensor | None:
        """u, scores of the images' own confounders, (B, M), in training alone."""
        if self.confounder_scores is None or not self.training:
            return None
        return self.confounder_scores(
            image_embedding.flatten(1), self.dictionary.entries
        )

    def _put_back(
        self, feature: Tensor, indices: Tensor | None, gated: Tensor
    ) -> Tensor:
        """The feature map, (B, c, h, w), with the gated intervention in it."""
        if indices is None:
            return gated.transpose(1, 2).unflatten(2, feature.shape[2:])
        unselected = feature
        if self.unselected == 'zero':
            unselected = feature * (1 - self._gate(feature))
        return scatter_tokens(unselected, indices, gated)

    def _pool(self, tokens: Tensor) -> Tensor:
        """Pool(F_ca) in the joint space, (B, d), in float32: float16 could overflow."""
        pooled = tokens.mean(dim=1, dtype=torch.float32)
        weight = next(self.causal_projection.parameters(), pooled)
        with torch.autocast(pooled.device.type, enabled=False):
            return self.causal_projection(pooled.to(weight.dtype))

    def _gate(self, like: Tensor) -> Tensor | float:
        """The gate; 1 without an intervention."""
        return 1.0 if self.intervention is None else self.intervention.gate.to(like)

    def forward(self, inputs: Features, *args: Tensor) -> Tensor:
        """Logits of the predictor, (B, C, h, w).

        Args:
            inputs: The backbone's tuple.
            *args: In a cascade, logits of the head before.
        """
        return self.predictor(self.intervene(inputs).features, *args)

    def predict(self, inputs: Features, *args: Any) -> Tensor:
        """Logits resized to the images.

        Args:
            inputs: The backbone's tuple.
            *args: Further arguments of the predictor's ``predict``: meta information of
                each image and the segmentor's test config; in a cascade, logits of the
                head before come first.

        Returns:
            (B, C, H, W).
        """
        return self.predictor.predict(self.intervene(inputs).features, *args)

    def loss(self, inputs: Features, *args: Any) -> dict[str, Tensor]:
        """L_seg + lambda_1 L_causal + lambda_2 L_contrast, as separate entries.

        Args:
            inputs: The backbone's tuple.
            *args: Further arguments of the predictor's ``loss``: samples with labels
                and meta information, and the segmentor's training config; in a
                cascade, logits of the head before come first.

        Returns:
            The predictor's losses, ``loss_causal`` and ``loss_contrast``.
        """
        *_, samples, _ = args
        state = self.intervene(inputs)
        losses = self.predictor.loss(state.features, *args)
        if self.loss_causal is not None or self.loss_contrast is not None:
            from mcdrl_mmseg.models.lesion_targets import (
                labelled_images,
                lesion_targets,
            )

            names = self.dictionary.prompts.classes
            classes = lesion_targets(samples, names, self.num_classes)
        if self.loss_causal is not None:
            loss = self.loss_causal(
                self._pool(state.intervened_tokens),
                self.dictionary.class_confounder_embeddings,
                classes,
            )
            # 0 while the gate is closed; an if would wait for the device.
            losses[self.loss_causal.loss_name] = loss * (self._gate(loss) > 0)
        if self.loss_contrast is not None:
            losses[self.loss_contrast.loss_name] = self.loss_contrast(
                map_of(inputs[-1]).flatten(1),
                self.dictionary.class_embeddings,
                self.dictionary.background_embeddings,
                classes,
                labelled_images(samples, self.ignore_index),
            )
        return use_all_outputs(losses, inputs[-2:])

    # Below: errors for configs and backbones that do not fit, with a remedy.

    def _check_similarity_map(self) -> None:
        if self.region_selector is None:
            raise ValueError(
                'CausalInterventionHead: similarity_map=True needs a region_selector, '
                'which compares positions with texts, but it is None. To intervene on '
                'every position, set its ratio=1.'
            )
        if not self.dictionary.prompts.background_prompts:
            raise ValueError(
                'CausalInterventionHead: similarity_map=True compares lesions with '
                'healthy tissue, but the prompts have no background_prompts. Add '
                "them, such as ['normal mucosa']."
            )

    def _check_levels(self, count: int) -> None:
        # The last entry is the image embedding.
        if any(not -count <= index < count - 1 for index in self.in_indices):
            raise ValueError(
                f'CausalInterventionHead: in_index={self.in_indices} names a map that '
                f'the backbone does not return: it returns {count - 2} levels, then '
                'the dense map. Add the level to its out_indices.'
            )

    def _check_bare_map(self) -> None:
        if self.similarity_map or len(self.in_indices) > 1:
            raise ValueError(
                'CausalInterventionHead: the backbone returns a single map in '
                f'evaluation, and {type(self.predictor).__name__} reads only this '
                'map. Set similarity_map=False and one map in in_index.'
            )


def _widths(
    in_channels: int | Sequence[int], in_index: int | Sequence[int]
) -> tuple[int, ...]:
    """Width of each map that is intervened on."""
    widths, indices = _as_tuple(in_channels), _as_tuple(in_index)
    if len(widths) != len(indices):
        raise ValueError(
            f'CausalInterventionHead: {in_index=} names {len(indices)} maps, but '
            f'{in_channels=} gives the width of {len(widths)}. Give one width for '
            'each map.'
        )
    if -1 in indices:
        raise ValueError(
            'CausalInterventionHead: in_index=-1 is the image embedding; the last map '
            'is in_index=-2, the dense map.'
        )
    return widths


def _as_tuple(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _build(cfg: ConfigType | None, **defaults: int) -> Any:
    """Build a module from its config; None stays None."""
    return None if cfg is None else MODELS.build({**defaults, **cfg})
