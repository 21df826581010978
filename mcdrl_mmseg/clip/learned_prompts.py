"""Class names behind a learned context, through a frozen text tower.

Zhou et al., "Learning to prompt for vision-language models" (CoOp), IJCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from .prompt_tower import build_prompt_tower
from .towers import CLIPSpec

_CONTEXT_STD = 0.02


class LearnedPrompts(BaseModule):
    """Text embeddings of t_i = [V]_1 ... [V]_M [CLASS_i], equation 3 of CoOp.

    Only the context V is trained; all classes share it. The frozen text tower is part
    of the model and of its checkpoint. :meth:`init_weights` reads its weights at the
    start of training, so inference needs neither a file of CLIP weights nor the package
    of the sentence encoder.

    Args:
        spec: The CLIP model whose text tower is used: open_clip's, or the sentence
            encoder of ``mcdrl-endo-lite0`` with its projection.
        names: n class names.
        context: M, the number of random context vectors, or the words that the context
            starts from, as ``'a photo of a'``.
        init_cfg: MMEngine's initialisation config; rarely needed.

    Raises:
        ValueError: No names or context, a prompt longer than the tower's context
            length, or another kind of text tower.
    """

    def __init__(
        self,
        spec: CLIPSpec,
        names: Sequence[str],
        context: int | str = 16,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.spec = spec
        # Not a module, so that the checkpoint holds the tower only as `tower`.
        self._text = build_prompt_tower(spec)
        self.tower = self._text.module
        self.tower.requires_grad_(False)
        words = context if isinstance(context, str) else ''
        (word_ids,), (end,) = self._text.tokenize([words])
        # Without the start and end tokens.
        self._word_ids = word_ids[1 : int(end)]
        length = len(self._word_ids) if isinstance(context, str) else context
        if length < 1 or not names:
            raise ValueError(
                f'LearnedPrompts: context={context!r} and names={list(names)!r}: '
                'expected at least one vector or word, and at least one name.'
            )
        ids, ends = self._text.tokenize(names)
        for name, end in zip(names, ends.tolist()):
            if end + length >= self.tower.context_length:
                raise ValueError(
                    f'LearnedPrompts: {length} context vectors and the name {name!r} '
                    f'do not fit into the {self.tower.context_length} tokens of '
                    f'{spec.model_name}. Shorten one of them.'
                )
        # Tokens after the last end token have no influence.
        self.register_buffer('_ids', ids[:, : int(ends.max()) + 1], persistent=False)
        self.register_buffer('_ends', ends + length, persistent=False)
        self.context = nn.Parameter(torch.empty(length, self.tower.width))
        self._init_context()
        self._cached: Tensor | None = None
        self._cached_of: tuple[Tensor, int, int] | None = None
        self.train(self.training)

    @torch.no_grad()
    def _init_context(self) -> None:
        if len(self._word_ids):
            words = self._word_ids.to(self.context.device)
            self.context.copy_(self._text.vectors(words))
        else:
            nn.init.normal_(self.context, std=_CONTEXT_STD)

    def init_weights(self) -> None:
        """Load the tower's weights and start the context from them.

        Raises:
            CLIPWeightsError: No such weights, or they do not fit the tower.
            SentenceEncoderError: The tower is a sentence encoder, and its package is
                not installed.
        """
        super().init_weights()
        if self.spec.weights is not None:
            self._text.load_weights()
        self._init_context()
        self._cached = None

    def train(self, mode: bool = True) -> LearnedPrompts:
        """Set the mode; the tower stays in evaluation."""
        super().train(mode)
        self.tower.eval()
        self._cached = None
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._cached = None

    def forward(self) -> Tensor:
        """Embed the prompts.

        In evaluation without gradients the tower runs once, in full precision. The
        result is cached until the context changes, the mode is set or weights are
        loaded.

        Returns:
            (n, d), not normalised.
        """
        # No cache for inference tensors: they do not count writes.
        if self.training or torch.is_grad_enabled() or self.context.is_inference():
            return self.embed()
        if torch.compiler.is_compiling():
            return self.embed() if self._cached is None else self._cached
        if not self._is_cached():
            with torch.autocast(self.context.device.type, enabled=False):
                self._cached = self.embed()
            self._cached_of = self._context_state()
        return self._cached

    def _context_state(self) -> tuple[Tensor, int, int]:
        """State of the context by which a change is noticed, in evaluation mode too."""
        return self.context, self.context._version, self.context.data_ptr()

    def _is_cached(self) -> bool:
        if self._cached is None or self._cached_of is None:
            return False
        (context, *state), (known, *then) = self._context_state(), self._cached_of
        return context is known and state == then

    def embed(self) -> Tensor:
        """Run the tower on the prompts.

        Returns:
            (n, d), not normalised.
        """
        tokens = self._text.vectors(self._ids)
        context = self.context.expand(len(tokens), -1, -1)
        tokens = torch.cat([tokens[:, :1], context, tokens[:, 1:]], dim=1)
        return self._text.embed(tokens, self._ends)
