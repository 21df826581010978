"""ConfounderDictionary: the text embeddings that MCDRL intervenes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mcdrl_common import InputError
from mcdrl_mmseg.prompts import PromptSet

SOURCES = ('text', 'shuffled', 'random', 'learned')
_FINGERPRINT_BYTES = 32

NAMES_KEY = 'confounder_names'
"""Key of a checkpoint's ``meta``: names of the M entries, in their order."""
TEXTS_KEY = 'dictionary_texts'
"""Key of a checkpoint's ``meta``: all texts that were embedded."""


class DictionaryError(InputError, RuntimeError):
    """A dictionary that cannot be used as it is; the message says what to do."""


@MODELS.register_module()
class ConfounderDictionary(BaseModule):
    """Text embeddings of classes and confounders, kept as buffers of the model.

    :class:`ConfounderDictionaryHook` fills it once before training. From then on it is
    part of every checkpoint: neither training steps nor inference run the text tower.
    Shapes follow from the prompts, so a checkpoint always fits its config.

    Args:
        prompts: Config of a :class:`~mcdrl_mmseg.prompts.PromptSet`, whose K classes
            and M confounders give the shapes.
        embed_dims: d, width of the joint image-text space.
        prior: P(z). ``'uniform'``, ``'estimated'`` from the training images when the
            dictionary is built, or a dict of each condition's probability, which sum
            to 1. A list of M probabilities is only accepted if the families are in
            alphabetical order: in the config that it saves, MMEngine sorts the families
            but not the list.
        source: ``'text'``, or a control of equal size: ``'shuffled'`` (the letters of
            every confounder's name shuffled), ``'random'`` (unit vectors) or
            ``'learned'`` (a trained parameter). Controls change Z; class embeddings
            and the targets of the causal loss stay text.
        seed: Seed of the controls.
        init_cfg: MMEngine's initialisation config; there is nothing to initialise.

    Raises:
        PromptError: See :class:`~mcdrl_mmseg.prompts.PromptSet`.
        ValueError: A prior that is no distribution over the M confounders, a list for
            families that are not in alphabetical order, or an unknown source.

    Examples:
        >>> decode_head = dict(
        ...     dictionary=dict(
        ...         type='ConfounderDictionary',
        ...         prompts=dict(
        ...             classes=['polyp'],
        ...             confounders=dict(
        ...                 quality=['motion blur'],
        ...                 lighting=['bright light', 'dark light']),
        ...             background_prompts=['Normal mucosa']),
        ...         embed_dims=512,
        ...         prior='estimated'))
    """

    def __init__(
        self,
        prompts: Mapping | PromptSet,
        embed_dims: int,
        prior: str | Mapping[str, float] | Sequence[float] = 'uniform',
        source: str = 'text',
        seed: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if source not in SOURCES:
            raise ValueError(
                f'ConfounderDictionary: source={source!r} must be one of {SOURCES}.'
            )
        self.prompts = PromptSet.from_cfg(prompts)
        self.embed_dims = embed_dims
        self.source = source
        self.seed = seed
        self.prior_is_estimated = prior == 'estimated'
        num_classes = len(self.prompts.classes)
        num_confounders = len(self.prompts.confounder_names)
        num_background = len(self.prompts.background_prompts)
        for name, shape in {
            'class_embeddings': (num_classes,),
            'confounder_embeddings': (num_confounders,),
            'class_confounder_embeddings': (num_classes, num_confounders),
            'background_embeddings': (num_background,),
        }.items():
            self.register_buffer(name, torch.zeros(*shape, embed_dims))
        self.register_buffer('confounder_prior', self._initial_prior(prior))
        if not isinstance(prior, str | Mapping):
            # By name: a checkpoint may have its entries in another order.
            prior = dict(zip(self.prompts.confounder_names, prior))
        self._given_prior = prior
        self.register_buffer('built', torch.tensor(False))
        # Not uint8: MMEngine's SyncBuffersHook sums it over processes, which overflows.
        self.register_buffer(
            'fingerprint', torch.zeros(_FINGERPRINT_BYTES, dtype=torch.long)
        )
        if source == 'learned':
            entries = self._random_entries(num_confounders)
            self.learned_embeddings = nn.Parameter(entries)
        # A copy of `built` on the host: reading a buffer on a GPU waits for the device.
        self._built_flag = False

    def _initial_prior(
        self, prior: str | Mapping[str, float] | Sequence[float]
    ) -> Tensor:
        names = list(self.prompts.confounder_names)
        count = len(names)
        if prior in ('uniform', 'estimated'):
            return torch.full((count,), 1 / count)
        given = None if isinstance(prior, str) else prior
        if isinstance(prior, Mapping):
            named = sorted(map(str, prior)) == sorted(names)
            given = [prior[name] for name in names] if named else None
        values = None if given is None else torch.tensor(given).float()
        if (
            values is None
            or values.shape != (count,)
            or bool((values < 0).any())
            or not abs(float(values.sum()) - 1) <= 1e-4  # NaN fails too
        ):
            raise ValueError(
                f"ConfounderDictionary: prior={prior!r} must be 'uniform', "
                f"'estimated', or a dict of {count} probabilities that sum to 1, one "
                f'for each of {names}.'
            )
        families = list(self.prompts.confounders)
        if not isinstance(prior, Mapping) and families != sorted(families, key=str):
            raise ValueError(
                f'ConfounderDictionary: prior={prior!r} depends on the order of the '
                f'families {families}, which MMEngine changes when it saves the '
                'config. Name the conditions: prior='
                f'{dict(zip(names, prior))!r}.'
            )
        return values / values.sum()

    @property
    def given_prior(self) -> Tensor | None:
        """P(z) as the config gives it, (M,); None where it is to be estimated."""
        if self.prior_is_estimated:
            return None
        return self._initial_prior(self._given_prior)

    def _random_entries(self, count: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        entries = torch.randn(count, self.embed_dims, generator=generator)
        return F.normalize(entries, dim=-1)

    @property
    def texts(self) -> list[str]:
        """All texts to embed, in the order in which :meth:`fill` takes them."""
        prompts = self.prompts
        if self.source == 'shuffled':
            confounder_texts = prompts.shuffled(self.seed).confounder_texts
        else:
            confounder_texts = prompts.confounder_texts
        return [
            *prompts.class_texts,
            *confounder_texts,
            *prompts.class_confounder_texts,
            *prompts.background_prompts,
        ]

    def expected_fingerprint(self, sources: Mapping[str, str]) -> str:
        """The fingerprint that a dictionary of the configured prompts must have.

        Args:
            sources: Identity of the text tower: :meth:`CLIPSpec.identity`.

        Returns:
            64 hexadecimal digits.
        """
        return self.prompts.fingerprint(
            source=self.source, seed=str(self.seed), **sources
        )

    @property
    def stored_fingerprint(self) -> str:
        """Fingerprint of the texts in the buffers; zeros if unbuilt."""
        return bytes(self.fingerprint.tolist()).hex()

    @property
    def is_built(self) -> bool:
        """Whether the buffers are filled. Until they are, each call syncs the GPU."""
        if not self._built_flag:
            self._built_flag = bool(self.built)
        return self._built_flag

    @torch.no_grad()
    def fill(self, embeddings: Tensor, fingerprint: str) -> None:
        """Store text embeddings.

        Args:
            embeddings: (len(texts), d), L2-normalised, in the order of ``texts``.
            fingerprint: 64 hexadecimal digits that identify the texts and their tower.

        Raises:
            DictionaryError: The text tower's width is not ``embed_dims``.
        """
        if embeddings.shape != (len(self.texts), self.embed_dims):
            raise DictionaryError(
                f'The text tower gives {embeddings.shape[0]} embeddings of width '
                f'{embeddings.shape[1]}, the dictionary needs {len(self.texts)} of '
                f'width embed_dims={self.embed_dims}. Set embed_dims to the width of '
                "the CLIP model's joint space."
            )
        num_classes, num_confounders = self.class_confounder_embeddings.shape[:2]
        counts = (
            num_classes,
            num_confounders,
            num_classes * num_confounders,
            len(self.background_embeddings),
        )
        classes, confounders, pairs, background = embeddings.split(counts)
        if self.source == 'random':
            confounders = self._random_entries(num_confounders)
        self.class_embeddings.copy_(classes)
        self.confounder_embeddings.copy_(confounders)
        self.class_confounder_embeddings.copy_(
            pairs.view_as(self.class_confounder_embeddings)
        )
        self.background_embeddings.copy_(background)
        self.fingerprint.copy_(torch.tensor(list(bytes.fromhex(fingerprint))))
        self.built.fill_(True)
        self._built_flag = True

    def notes(self) -> dict[str, list[str]]:
        """Names and texts of the entries, for a checkpoint's meta."""
        names = list(self.prompts.confounder_names)
        return {NAMES_KEY: names, TEXTS_KEY: self.texts}

    def check_built(self) -> None:
        """Raise DictionaryError, saying what to do, if the buffers are not filled."""
        if not self.is_built:
            raise DictionaryError(
                'The confounder dictionary is not built: its text embeddings are '
                "empty. For training, put dict(type='ConfounderDictionaryHook') into "
                'custom_hooks. For inference, load a checkpoint that was trained '
                'with this hook, with a config of the same prompts.'
            )

    @property
    def entries(self) -> Tensor:
        """Z, (M, d): text embeddings, or the learned control."""
        self.check_built()
        if self.source == 'learned':
            return self.learned_embeddings
        return self.confounder_embeddings

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        own = {prefix + name: buffer.shape for name, buffer in self.named_buffers()}
        given = {name: state_dict[name].shape for name in own if name in state_dict}
        # A checkpoint of other prompts: MMEngine loads the buffers whose shapes match,
        # `built` among them, and only logs the others.
        if given and given != own:
            self.built.fill_(False)
        self._built_flag = bool(self.built)
