"""An open_clip image tower as a backbone."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mcdrl_mmseg import clip
from mcdrl_mmseg.clip.norm_activations import keep_activations
from mcdrl_mmseg.models.tensor_cache import CachingModule, ModuleCache, TensorPlaces

if TYPE_CHECKING:
    from mcdrl_mmseg.clip.tower_parts import TowerParts

    from .feature_cache import FeatureCache

_FINEST_SCALE = 1000  # largest denominator of the fraction that input_scale becomes


@MODELS.register_module()
class CLIPVisionBackbone(CachingModule, BaseModule):
    """CLIP's image tower; returns levels, the dense map and the image embedding.

    :meth:`init_weights` reads the weights that ``pretrained`` names, so they are only
    needed at the start of training. A checkpoint of the whole model is loaded without
    them.

    Args:
        model_name: open_clip architecture, as ``RN50``, ``ViT-B-16`` or
            ``ViT-B-16-SigLIP2``; one of the plug-in's own, as ``mcdrl-endo-lite0``; or
            a location, ``hf-hub:ORG/NAME`` or ``local-dir:/PATH``, whose own weights
            are used if ``pretrained`` is None.
        pretrained: open_clip tag (``'openai'``), local file (open_clip checkpoint,
            OpenAI's TorchScript archive, state dict, safetensors), or None for random
            weights. ``FILE#sha256=DIGITS`` accepts the file only with this SHA-256.
        quick_gelu: Whether to use QuickGELU, the activation of OpenAI's weights. None
            decides by the model's name or the tag.
        out_indices: Blocks (ViT) or stages (ResNet 0 to 3, timm as it counts them)
            whose maps become the levels before the dense map. Negative ones count
            from the end.
        dense_mode: How patch tokens reach the text space: ``vanilla``,
            ``maskclip``, ``sclip`` or ``clearclip``
            (:mod:`mcdrl_mmseg.clip.dense`). A tower without standard attention in
            its last block only has ``vanilla``: its head, position by position.
        output_stride: Stride of the dense map of a ResNet or EfficientNet. 32, or 16
            or 8 for two or four times as many rows and columns, by dilation and with
            the same weights. None keeps the tower's own stride.
        input_scale: Factor by which the images' height and width are resized before
            the tower. SAN (arXiv 2302.12242) uses 0.5 for CLIP, which leaves a quarter
            of the positions. A factor above 1 makes the dense map finer.
        frozen: Train nothing and stay in evaluation mode. If the environment variable
            ``MCDRL_FEATURE_CACHE`` names a folder, features computed on the CPU are
            cached there, see :mod:`mcdrl_mmseg.models.backbones.feature_cache`.
        frozen_stages: -1 freezes nothing, 0 the stem, n the first n blocks or
            stages too.
        lora: Freeze the tower and train only low-rank updates (LoRA) of its blocks:
            ``rank`` (8), ``alpha`` (the rank) and ``targets`` (all of ``q``, ``k``,
            ``v``, ``out`` and ``mlp``), see :mod:`mcdrl_mmseg.clip.lora`. A checkpoint
            holds the tower and the updates; an export merges them into the weights.
        norm_eval: Freeze the running statistics of batch norms during training.
        with_cp: Gradient checkpointing: less memory, one more forward.
        channels_last: Keep the tower's weights and maps in channels-last memory
            format. Results are equal up to rounding. On a CPU depthwise convolutions
            (EfficientNet) then take half the time.
        init_cfg: MMEngine's initialisation config. With ``type='Pretrained'`` its
            checkpoint is read in place of ``pretrained``, which still says which text
            tower embeds the prompts.

    Raises:
        ValueError: Unknown or unsupported architecture, mode, index, stride or scale.

    Examples:
        >>> model = dict(
        ...     backbone=dict(
        ...         type='CLIPVisionBackbone',
        ...         model_name='ViT-B-16',
        ...         pretrained='openai',
        ...         dense_mode='clearclip'))
    """

    def __init__(
        self,
        model_name: str = 'ViT-B-16',
        pretrained: str | None = None,
        quick_gelu: bool | None = None,
        out_indices: Sequence[int] = (),
        dense_mode: str = 'sclip',
        output_stride: int | None = None,
        input_scale: float = 1.0,
        frozen: bool = False,
        frozen_stages: int = -1,
        lora: dict | None = None,
        norm_eval: bool = False,
        with_cp: bool = False,
        channels_last: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.input_ratio = _input_ratio(input_scale)
        self.clip_spec = clip.CLIPSpec(model_name, pretrained, quick_gelu)
        self.dense_mode = dense_mode
        self.frozen = frozen
        self.output_stride = output_stride
        self.feature_cache = _feature_cache() if frozen else None
        # Not buffers and not saved: both are computed from the tower.
        self._cache, self._digest = ModuleCache(), ModuleCache()
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.tower = clip.build_image_tower(self.clip_spec)
        self.channels_last = channels_last
        if channels_last:
            self.tower.to(memory_format=torch.channels_last)
        self._check_dense_mode()
        if output_stride is not None:
            clip.set_output_stride(self.tower, output_stride)
        parts = clip.parts_of_tower(self.tower)
        self._run = parts.run
        self.out_indices = self._resolve_indices(out_indices, parts)
        if not -1 <= frozen_stages <= len(parts.stages):
            raise ValueError(
                f'frozen_stages={frozen_stages} must lie in -1 .. {len(parts.stages)} '
                f'for model_name={model_name!r}.'
            )
        self.frozen_stages = frozen_stages
        self.lora = lora
        self._freeze()
        if lora is not None:
            if frozen or frozen_stages >= 0:
                raise ValueError(
                    f'lora={lora} freezes the tower but for its low-rank changes: '
                    'leave out frozen and frozen_stages.'
                )
            clip.add_lora(self.tower, **lora)

    def _check_dense_mode(self) -> None:
        modes = clip.dense_modes(self.tower)
        if self.dense_mode not in modes:
            raise ValueError(
                f'dense_mode={self.dense_mode!r} must be one of {modes} with '
                f'model_name={self.clip_spec.model_name!r}; all but vanilla change a '
                'last attention of the standard kind.'
            )

    def _resolve_indices(
        self, out_indices: Sequence[int], parts: TowerParts
    ) -> tuple[int, ...]:
        count = len(parts.stages)
        wrong = [i for i in out_indices if not -count <= i < count]
        resolved = [i % count for i in out_indices]
        if wrong or resolved != sorted(set(resolved)):
            raise ValueError(
                f'out_indices={tuple(out_indices)} must be increasing indices of '
                f'{count} {parts.counted} '
                f'(model_name={self.clip_spec.model_name!r}).'
            )
        return tuple(resolved)

    def init_weights(self) -> None:
        """Load the pretrained weights, or warn that the weights stay random."""
        super().init_weights()
        given = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg]
        if any(each and each['type'] == 'Pretrained' for each in given):
            return
        if self.clip_spec.weights is not None:
            clip.load_tower_weights(self.tower, self.clip_spec, 'visual.')
        else:
            warnings.warn(
                f'CLIPVisionBackbone({self.clip_spec.model_name}) starts from random '
                'weights (pretrained=None): its similarity to text, and with it the '
                'selection of regions, means nothing until weights are given.',
                stacklevel=2,
            )

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any
    ) -> None:
        clip.fit_lora_keys(self.tower, state_dict, f'{prefix}tower.')
        super()._load_from_state_dict(state_dict, prefix, *args)

    def check_data_preprocessor(self, data_preprocessor: nn.Module) -> None:
        """Check that images are normalised as in the tower's training.

        Args:
            data_preprocessor: The segmentor's.

        Raises:
            ValueError: They are not. A tower with random weights accepts any
                normalisation.
        """
        from mcdrl_mmseg.clip.normalisation import refuse_other_normalisation

        refuse_other_normalisation(self.clip_spec, data_preprocessor)

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen or self.lora is not None:
            return [self.tower]
        if self.frozen_stages < 0:
            return []
        parts = clip.parts_of_tower(self.tower)
        return parts.stem + parts.stages[: self.frozen_stages]

    def _freeze(self) -> None:
        for module in self._frozen_modules():
            module.requires_grad_(False)
        if self.frozen_stages >= 0:
            for parameter in clip.parts_of_tower(self.tower).stem_parameters:
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> CLIPVisionBackbone:
        """Set the mode; frozen parts, and norms if ``norm_eval``, stay in eval mode."""
        super().train(mode)
        keep_activations(self.tower)
        if mode:
            for module in self._frozen_modules():
                module.eval()
            if self.norm_eval:
                for module in self.tower.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the tower.

        Args:
            inputs: (B, 3, H, W), normalised as CLIP expects, of any size.

        Returns:
            The levels of ``out_indices``, then the dense map (B, d, h, w) and the
            image embedding (B, d, 1, 1), neither of the two normalised.
        """
        if self.feature_cache is not None and self._may_cache(inputs):
            return self._kept_features(inputs)
        return self._features(self._folded_in_inference(), inputs)

    def _features(self, tower: nn.Module, inputs: Tensor) -> tuple[Tensor, ...]:
        up, down = self.input_ratio
        if up != down:
            size = [side * up // down for side in inputs.shape[2:]]
            inputs = F.interpolate(inputs, size=size, mode='bilinear', antialias=True)
        inputs = self._in_memory_layout(inputs)
        out = self._run(tower, inputs, self.out_indices, self.dense_mode, self.with_cp)
        dense_features = self._in_memory_layout(out.dense_features)
        return (*out.levels, dense_features, out.image_embedding)

    def _in_memory_layout(self, feature: Tensor) -> Tensor:
        if self.channels_last:
            return feature.contiguous(memory_format=torch.channels_last)
        return feature

    # Below: the feature cache of a frozen tower, and norm folding in inference.

    def _may_cache(self, inputs: Tensor) -> bool:
        """Whether the features of these inputs may come from the feature cache.

        Not on a GPU: hashing the pixels would wait for the device. Not with gradients
        with respect to the images, which explanations need. Not while a graph is
        recorded, which must contain the tower. Not with norms in training mode: an
        image's features then depend on the rest of the batch.
        """
        return (
            inputs.device.type == 'cpu'
            and not inputs.requires_grad
            and not torch.jit.is_tracing()
            and not torch.compiler.is_compiling()
            and not self._cache.in_training(self.tower)
        )

    def _kept_features(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Features from the cache; the missing ones are computed and cached.

        Training and inference share them: a frozen tower is always in evaluation mode.
        """
        assert self.feature_cache is not None
        # Folded at most once a batch, and only if an image is missing.
        tower = functools.cache(self._folded_tower)

        def compute(image: Tensor) -> tuple[Tensor, ...]:
            with torch.inference_mode():
                return self._features(tower(), image)

        features = self.feature_cache.features(inputs, self._fingerprint(), compute)
        # Cache files are contiguous; the head is faster in the tower's memory format.
        return tuple(map(self._in_memory_layout, features))

    def _fingerprint(self) -> str:
        """Everything that the features depend on, except the pixels."""
        from .feature_cache import code_digest, digest

        weights = self._digest.get(
            'weights',
            lambda: digest('', *TensorPlaces().tensors(self.tower)),
            [self.tower],
        )
        amp = torch.is_autocast_enabled('cpu') and torch.get_autocast_dtype('cpu')
        how = (self.out_indices, self.dense_mode, self.output_stride, self.input_ratio)
        folded = self._can_fold()
        what = (self.clip_spec, code_digest(), self.channels_last, amp, folded)
        return repr((weights, how, what))

    def _folded_in_inference(self) -> nn.Module:
        """The tower; in inference a copy with its batch norms folded in."""
        recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if self.training or torch.is_grad_enabled() or recorded:
            return self.tower
        return self._folded_tower()

    def _folded_tower(self) -> nn.Module:
        """The tower with its batch norms folded in; it must be in evaluation mode."""
        # Imported late: neither registering nor training needs it.
        from mcdrl_mmseg.clip import folded_tower

        if not self._can_fold():
            return self.tower
        return self._cache.get(
            'folded', lambda: folded_tower.fold_norms(self.tower), [self.tower]
        )

    def _can_fold(self) -> bool:
        """Whether a folded copy can replace the tower."""
        from mcdrl_mmseg.clip import folded_tower

        return (
            folded_tower.can_fold(self.tower)
            # Tensors of inference mode count no writes: a change would go unnoticed.
            and not next(self.tower.parameters()).is_inference()
            and self._cache.may_replace(self.tower)
        )


def _input_ratio(input_scale: float) -> tuple[int, int]:
    """The scale as a fraction: with integers an exported graph computes exact sizes."""
    if not 1 / _FINEST_SCALE <= input_scale < float('inf'):
        raise ValueError(
            f'input_scale={input_scale} must be a number of {1 / _FINEST_SCALE} or '
            'more: 1 shows the tower the images as they are, 0.5 half of their '
            'height and width.'
        )
    ratio = Fraction(input_scale).limit_denominator(_FINEST_SCALE)
    return ratio.numerator, ratio.denominator


def _feature_cache() -> FeatureCache | None:
    if not os.environ.get('MCDRL_FEATURE_CACHE'):
        return None
    from .feature_cache import FeatureCache

    return FeatureCache.from_environment()
