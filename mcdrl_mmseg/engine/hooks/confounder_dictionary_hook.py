"""Builds the confounder dictionary once, before training starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor, nn
from torch.utils.data import Dataset

from mcdrl_mmseg.datasets import EndoscopySiteDataset
from mcdrl_mmseg.engine.runner import find_parts, unwrap_model
from mcdrl_mmseg.models import (
    CausalInterventionHead,
    CLIPGuidedBackbone,
    CLIPVisionBackbone,
    ConfounderDictionary,
    DictionaryError,
)

if TYPE_CHECKING:
    from mcdrl_mmseg.clip import CLIPSpec


# Distance of embeddings that differ by rounding alone; those of other words are further
# apart by orders of magnitude.
_SAME = 1e-5


@HOOKS.register_module()
class ConfounderDictionaryHook(Hook):
    """Embed the prompts with the text tower that belongs to the image tower.

    In a new training, rank 0 embeds all texts in one pass, or reads their embeddings
    from a cache file, and broadcasts them. A resumed run only compares the stored
    fingerprint. A dictionary from ``load_from`` is kept if prompts and weights are the
    same; otherwise it is built again, and statistics of observed confounders are reset.
    Its prior is always this config's. A test of a checkpoint with other prompts or
    another prior is refused.

    Args:
        cache_dir: Folder of cache files. None takes ``MCDRL_CACHE_DIR`` or the user's
            cache folder.
        prior_images: Number of training images for ``prior='estimated'``.
        prior_temperature: Temperature of CLIP's softmax for ``prior='estimated'``.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='ConfounderDictionaryHook', cache_dir='work_dirs/cache')]
    """

    priority = 'NORMAL'

    # Message on other texts in a loaded checkpoint: a training embeds its own texts, a
    # test cannot.
    _other_words: str | None = None

    def __init__(
        self,
        cache_dir: str | None = None,
        prior_images: int = 256,
        prior_temperature: float = 0.01,
    ) -> None:
        from mcdrl_common.cache_dir import default_cache_dir

        self.cache_dir = Path(cache_dir) if cache_dir else default_cache_dir()
        self.prior_images = prior_images
        self.prior_temperature = prior_temperature

    def before_train(self, runner: Runner) -> None:
        """Build or check every dictionary of the model.

        Raises:
            DictionaryError: Resuming with other prompts or another text tower, no
                CLIP tower in the model, a lesion class without prompt, prompts
                in another order than labels or with the same embedding, or masks whose
                lesions are ignored.
            CLIPWeightsError: The text tower's weights are not available.
        """
        self._other_words = None
        model = unwrap_model(runner)
        towers: list[Any] = [*find_parts(runner, CLIPGuidedBackbone)]
        backbone = getattr(model, 'backbone', None)
        if isinstance(backbone, CLIPVisionBackbone):
            towers.append(backbone)
        for tower in towers:
            tower.check_data_preprocessor(model.data_preprocessor)
        for dictionary in find_parts(runner, ConfounderDictionary):
            self._check_classes(runner, dictionary)
            self._prepare(runner, dictionary)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the imaging conditions into the order of the checkpoint's entries.

        In the config that MMEngine writes to a work folder the families are sorted. A
        run resumed or tested with it would otherwise mix up the conditions.
        """
        from mcdrl_mmseg.models.dictionary_agreement import (
            other_words,
            put_families_in_order,
        )

        meta = checkpoint.get('meta') or {}
        self._other_words = None
        for ending, dictionary in _by_ending(runner).items():
            own = {
                key: meta[key + ending]
                for key in dictionary.notes()
                if key + ending in meta
            }
            put_families_in_order(dictionary, own)
            self._other_words = self._other_words or other_words(dictionary, own)

    def before_test(self, runner: Runner) -> None:
        """Refuse a checkpoint with other texts or another prior than the config.

        Raises:
            DictionaryError: They differ; the message names some.
        """
        from mcdrl_mmseg.models.dictionary_agreement import other_prior

        problems = map(other_prior, find_parts(runner, ConfounderDictionary))
        for problem in (self._other_words, *problems):
            if problem:
                raise DictionaryError(problem)

    def before_val(self, runner: Runner) -> None:
        """As before a test: a validation without training scores weights as well.

        Raises:
            DictionaryError: See :meth:`before_test`.
        """
        self.before_test(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store names and texts of the entries, in their order, in the meta.

        The checkpoint's config does not hold the order: MMEngine sorts the families.
        """
        for ending, dictionary in _by_ending(runner).items():
            for key, note in dictionary.notes().items():
                checkpoint['meta'][key + ending] = note

    @staticmethod
    def _check_classes(runner: Runner, dictionary: ConfounderDictionary) -> None:
        """Check that each lesion class of the data has a prompt, and masks show it."""
        from mcdrl_mmseg.datasets.ignored_lesions import ignored_lesions

        dataset = runner.train_dataloader.dataset
        labels = tuple(getattr(dataset, 'metainfo', {}).get('classes', ()))[1:]
        problem = dictionary.prompts.label_mismatch(labels, _lesion_classes(dataset))
        problem = problem or ignored_lesions(dataset)
        if problem:
            raise DictionaryError(problem)

    def _prepare(self, runner: Runner, dictionary: ConfounderDictionary) -> None:
        from mcdrl_mmseg.engine.main_process import on_main_process

        spec = clip_spec_of(unwrap_model(runner).backbone)
        fingerprint = on_main_process(
            lambda: dictionary.expected_fingerprint(spec.identity()), DictionaryError
        )
        assert fingerprint is not None  # on_main_process shares strings with all ranks
        if runner.iter > 0:
            self._check_resumed(dictionary, fingerprint)
            return
        if dictionary.is_built and dictionary.stored_fingerprint == fingerprint:
            runner.logger.info('Confounder dictionary loaded from the checkpoint.')
            self._set_prior(runner, dictionary)
            return
        embeddings = on_main_process(
            lambda: self._embed(runner, dictionary, spec, fingerprint),
            DictionaryError,
        )
        # None on the other ranks: they get the tensor by broadcast.
        if embeddings is None:
            shape = (len(dictionary.texts), dictionary.embed_dims)
            embeddings = torch.zeros(shape)
        dictionary.fill(embeddings, fingerprint)
        _forget_scores(runner, dictionary)
        self._set_prior(runner, dictionary)
        runner.logger.info(
            f'Confounder dictionary built: {len(dictionary.prompts.classes)} classes, '
            f'{len(dictionary.prompts.confounder_names)} confounders, '
            f'fingerprint {fingerprint[:12]}.'
        )

    def _set_prior(self, runner: Runner, dictionary: ConfounderDictionary) -> None:
        """Set P(z) of this config, whatever the loaded checkpoint has."""
        prior = dictionary.given_prior
        if prior is None:
            from mcdrl_mmseg.engine.confounder_prior import estimate_prior

            prior = estimate_prior(
                runner, dictionary, self.prior_images, self.prior_temperature
            )
        dictionary.confounder_prior.copy_(prior)
        for buffer in dictionary.buffers():
            broadcast(buffer)

    @staticmethod
    def _check_resumed(dictionary: ConfounderDictionary, fingerprint: str) -> None:
        stored = dictionary.stored_fingerprint
        # With another number of texts, only the fingerprint of the buffers is loaded.
        if dictionary.fingerprint.any() and stored != fingerprint:
            raise DictionaryError(
                'The checkpoint was trained with other prompts, templates or text '
                f'weights (fingerprint {stored[:12]}, the config gives '
                f'{fingerprint[:12]}). Resume with the config it was trained with, '
                'or start a new run from its weights with load_from.'
            )
        dictionary.check_built()
        from mcdrl_mmseg.models.dictionary_agreement import other_prior

        if problem := other_prior(dictionary):
            raise DictionaryError(problem)

    def _embed(
        self,
        runner: Runner,
        dictionary: ConfounderDictionary,
        spec: CLIPSpec,
        fingerprint: str,
    ) -> Tensor:
        from mcdrl_mmseg.clip.embedding_cache import (
            cache_file,
            read_embeddings,
            write_embeddings,
        )
        from mcdrl_mmseg.clip.text import embed_texts

        path = cache_file(self.cache_dir, fingerprint)
        embeddings = read_embeddings(path, fingerprint)
        if embeddings is not None:
            _check_distinct(dictionary.texts, embeddings, spec)
            runner.logger.info(f'Text embeddings read from {path}.')
            return embeddings
        embeddings = embed_texts(spec, dictionary.texts)
        _check_distinct(dictionary.texts, embeddings, spec)
        try:
            write_embeddings(path, fingerprint, embeddings)
        except OSError as error:
            runner.logger.warning(
                f'The text embeddings could not be cached in {path} ({error}); '
                'training goes on, and the next start computes them again.'
            )
        return embeddings


def _check_distinct(texts: Sequence[str], embeddings: Tensor, spec: CLIPSpec) -> None:
    """Refuse different texts with one embedding: a tokenizer does not know their words.

    Args:
        texts: n texts.
        embeddings: (n, d), unit vectors.
        spec: The CLIP that embedded them.

    Raises:
        DictionaryError: The message names two such texts.
    """
    # Without the matrix product, whose rounding is larger than the distances.
    gaps = torch.cdist(
        embeddings, embeddings, compute_mode='donot_use_mm_for_euclid_dist'
    )
    words = [' '.join(text.lower().split()) for text in texts]
    for one, other in (gaps < _SAME).triu(diagonal=1).nonzero().tolist():
        if words[one] != words[other]:
            raise DictionaryError(
                f'The prompts {texts[one]!r} and {texts[other]!r} have the same '
                f'embedding: the tokenizer of model_name={spec.model_name!r} does not '
                'know the words in which they differ, for example because they are in '
                'another language. Write them in words that it knows, in English if in '
                'doubt, or take another CLIP.'
            )


def _by_ending(runner: Runner) -> dict[str, ConfounderDictionary]:
    """All dictionaries, by the ending of their keys in a checkpoint's meta.

    There is none for the dictionary of the decode head, which explanations read, nor
    for a single one.
    """
    from mcdrl_mmseg.models.last_decode_head import last_decode_head

    model = unwrap_model(runner)
    main = getattr(last_decode_head(model), 'dictionary', None)
    found = {
        place: part
        for place, part in model.named_modules()
        if isinstance(part, ConfounderDictionary)
    }
    return {
        '' if part is main or len(found) == 1 else f':{place}': part
        for place, part in found.items()
    }


def _forget_scores(runner: Runner, dictionary: ConfounderDictionary) -> None:
    """Reset statistics of observed confounders, which belong to the former entries."""
    for head in find_parts(runner, CausalInterventionHead):
        if head.dictionary is dictionary and head.confounder_scores is not None:
            head.confounder_scores.reset()


def clip_spec_of(backbone: nn.Module) -> CLIPSpec:
    """Which CLIP embeds the prompts of a model with this backbone.

    Args:
        backbone: A segmentor's backbone.

    Raises:
        DictionaryError: The backbone has no CLIP tower.
    """
    spec = getattr(backbone, 'clip_spec', None)
    if spec is None:
        raise DictionaryError(
            f'The backbone {type(backbone).__name__} has no CLIP tower; the text '
            'tower of the same CLIP embeds the prompts. Use CLIPVisionBackbone, or '
            'wrap the backbone in CLIPGuidedBackbone.'
        )
    return spec


def _lesion_classes(dataset: Dataset) -> set[str]:
    """Names of the lesion classes that the sites of a dataset may show."""
    if isinstance(dataset, EndoscopySiteDataset):
        return {name for site in dataset.sites for name in site.lesion_classes}
    inner = [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]
    parts = [_lesion_classes(part) for part in inner if isinstance(part, Dataset)]
    return set().union(*parts)
