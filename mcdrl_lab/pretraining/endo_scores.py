"""Zero-shot measurement of the CLIP of real endoscopy, and its test data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from torch import Tensor, nn

from mcdrl_common.image_index import read_table
from mcdrl_lab.simulation.drawn_conditions import CONDITIONS

from .encoding import Encoded
from .endo_pack import Pack, PackError, read_image, read_mask
from .endo_words import (
    CHOOSING_WORDS,
    NORMAL,
    POLYP,
    UNSEEN_WORDS,
    Claim,
    other_texts,
    trained_texts,
)
from .endo_zero_shot import (
    RATIOS,
    ConditionEmbeddings,
    Embedder,
    auc,
    centre_scores,
    encode,
    encode_conditions,
    joined,
    kept_shares,
    lesion_scores,
    position_scores,
    random_scores,
    shuffles,
    text_scores,
)

SITES = {
    'polypgen_c1': 'polyp',
    'polypgen_c2': 'polyp',
    'polypgen_c3': 'polyp',
    'polypgen_c4': 'polyp',
    'endotect_kvasir': 'polyp',
    'vocalfolds_larynx': 'vocal fold lesion',
}
"""Site -> its lesion class in words."""

SAME_HOSPITAL = {'endotect_kvasir': 'kvasir_seg'}
"""Site -> data set of the pretraining pack from the same hospital."""

PACK = 'pretraining pack'
"""Name of the pack in tables, beside the names of sites."""

_SHUFFLES, _SEED = 60, 7


@dataclass(frozen=True)
class SiteImages:
    """Images of one hospital with their masks.

    Args:
        images: n images (H, W, 3) uint8.
        masks: n masks (H, W) uint8; healthy images have empty ones.
    """

    images: list[np.ndarray]
    masks: list[np.ndarray]

    @property
    def diseased(self) -> np.ndarray:
        """(n,) bool."""
        return np.array([bool(mask.any()) for mask in self.masks])


def load_site(root: Path, site: str) -> SiteImages:
    """Read one of the six sites.

    Args:
        root: Folder with ``manifest.csv``.
        site: Name of the site.

    Raises:
        PackError: The table or the site is missing.
    """
    table = root / 'manifest.csv'
    if not table.is_file():
        raise PackError(f'{table} is missing: set MCDRL_DATA_ROOT or --data-root.')
    _, every = read_table(table)
    rows = [row for row in every if row['site'] == site]
    if not rows:
        raise PackError(f'{table} has no site {site!r}.')
    return SiteImages(
        [read_image(root / row['image']) for row in rows],
        [read_mask(root / row['mask']) for row in rows],
    )


@dataclass(frozen=True)
class EndoScores:
    """All measured scores; AUCs and shares are from 0 to 1.

    Args:
        side: Height and width at which the tower saw the images, in pixels.
        lesions: Test set -> AUC of polyp against normal, by the image embedding.
        positions: The same, by the position of the dense map with the highest score.
        blood: AUC of real bleeding.
        conditions: Site, or ``all`` for the sites of unseen hospitals together ->
            condition -> AUC against images without a drawn condition.
        among: Condition -> AUC against images with no or another drawn condition.
        shuffled: Mean over conditions of the AUC as in ``among``, one entry per shuffle
            of their words.
        words: Word that is in no caption -> (its AUC, AUC of the trained words).
        kept: Site -> alpha -> scorer -> mean share of the lesion's area that is kept.
        seen: Sites whose hospital was in the training.
    """

    side: int
    lesions: dict[str, float] = field(default_factory=dict)
    positions: dict[str, float] = field(default_factory=dict)
    blood: float = float('nan')
    conditions: dict[str, dict[str, float]] = field(default_factory=dict)
    among: dict[str, float] = field(default_factory=dict)
    shuffled: tuple[float, ...] = ()
    words: dict[str, tuple[float, float]] = field(default_factory=dict)
    kept: dict[str, dict[float, dict[str, float]]] = field(default_factory=dict)
    seen: tuple[str, ...] = ()


def _spread(items: Sequence, most: int) -> list[int]:
    """At most ``most`` row numbers, evenly spaced: frames of a video are adjacent."""
    return (
        np.unique(np.linspace(0, len(items) - 1, min(most, len(items))))
        .astype(int)
        .tolist()
    )


def _masked_images(pack: Pack) -> SiteImages:
    """The images of the pack that have masks, as if they were a site."""
    rows = pack.rows_of('kvasir_seg/polyp')
    return SiteImages(
        [pack.images[row] for row in rows], [pack.masks[row] for row in rows]
    )


def _kept(
    site: SiteImages, dense: Tensor, lesion_texts: Tensor
) -> dict[float, dict[str, float]]:
    """Alpha -> scorer -> mean share of the lesion's area that is kept.

    Args:
        site: The images.
        dense: Their dense maps, (n, d, h, w).
        lesion_texts: Embeddings of the texts of lesion classes, (k, d).
    """
    rows = site.diseased.nonzero()[0]
    masks = [site.masks[row] for row in rows]
    dense = dense[rows]
    grid = dense.shape[2], dense.shape[3]
    maps = {
        'text': text_scores(dense, lesion_texts),
        'centre': centre_scores(len(rows), grid),
        'random': random_scores(len(rows), grid, _SEED),
    }
    return {
        ratio: {
            scorer: float(kept_shares(scores, masks, ratio).mean())
            for scorer, scores in maps.items()
        }
        for ratio in RATIOS
    }


def _condition_aucs(
    drawn: ConditionEmbeddings, texts: Tensor, among: bool = False
) -> dict[str, float]:
    """Condition -> AUC of its text; ``texts`` is (M, d), see ``auc_of``."""
    return {
        condition: drawn.auc_of(number, texts[number], among)
        for number, condition in enumerate(CONDITIONS)
    }


def _of_kind(pack: Pack, kind: str) -> list[np.ndarray]:
    rows = pack.rows_of(kind)
    if not len(rows):
        raise PackError(f'The tested part of the pack has no images of {kind}.')
    return [pack.images[row] for row in rows]


@dataclass(frozen=True)
class _Texts:
    """Embeddings of the trained texts: of polyps, healthy tissue, and conditions."""

    polyp: Tensor
    normal: Tensor
    conditions: Tensor

    @classmethod
    def of(cls, embed: Embedder) -> _Texts:
        """Embed the texts."""
        polyp, normal = (embed(trained_texts(Claim(n))) for n in (POLYP, NORMAL))
        numbers = range(len(CONDITIONS))
        conditions = embed([trained_texts(Claim(condition=n))[0] for n in numbers])
        return cls(polyp, normal, conditions)

    def with_lesion_text(self, claim: Claim, text: Tensor) -> _Texts:
        """A copy with another text of polyps, or of healthy tissue."""
        if claim.lesion == POLYP:
            return replace(self, polyp=text)
        return replace(self, normal=text)

    def image_auc(self, diseased: Encoded, healthy: Encoded) -> float:
        """AUC of polyp against normal, by the embeddings of images."""
        return auc(
            lesion_scores(diseased.embeddings, self.polyp, self.normal),
            lesion_scores(healthy.embeddings, self.polyp, self.normal),
        )

    def position_auc(self, diseased: Encoded, healthy: Encoded) -> float:
        """AUC of polyp against normal, by the best position of the dense maps."""
        return auc(
            position_scores(diseased.dense, self.polyp, self.normal),
            position_scores(healthy.dense, self.polyp, self.normal),
        )


def score_endo(
    tower: nn.Module,
    embed: Embedder,
    pack: Pack,
    sites: Mapping[str, SiteImages],
    side: int,
    per_site: int = 60,
    words: str = 'unseen',
    without: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> EndoScores:
    """Measure an image tower and the text side that belongs to it.

    Args:
        tower: timm tower, in evaluation mode.
        embed: Texts -> embeddings.
        pack: Images of the pretraining pack that the training did not see. If ``sites``
            is empty, its masked images are used as a site.
        sites: Name -> images of further hospitals; may be empty.
        side: Height and width at which the tower sees images, in pixels.
        per_site: Largest number of images of a site on which conditions are drawn.
        words: ``unseen`` for words that no option was chosen with, or ``choosing``.
        without: Data sets of the pack that the training left out.
        log: Called with lines about the progress.

    Raises:
        PackError: The pack lacks images of a kind.
    """
    texts = _Texts.of(embed)
    log('the pack: lesions and blood')
    polyps = encode(tower, _of_kind(pack, 'cp_child/polyp'), side)
    mucosa = encode(tower, _of_kind(pack, 'cp_child/normal mucosa'), side)
    lesions = {PACK: texts.image_auc(polyps, mucosa)}
    positions = {PACK: texts.position_auc(polyps, mucosa)}
    blood = _blood_auc(tower, pack, side, texts)

    kept, drawn = {}, {}
    selected = embed(
        [trained_texts(Claim(POLYP))[0], 'A vocal fold lesion in an endoscopic image']
    )
    for name, site in (sites or {'pack': _masked_images(pack)}).items():
        log(f'{name}: lesions, conditions, selection')
        encoded = encode(tower, site.images, side)
        truth = site.diseased
        if not truth.all() and truth.any() and (~truth).sum() > 5:
            parts = encoded.of(truth), encoded.of(~truth)
            lesions[name] = texts.image_auc(*parts)
            positions[name] = texts.position_auc(*parts)
        kept[name] = _kept(site, encoded.dense, selected)
        few = [site.images[row] for row in _spread(site.images, per_site)]
        drawn[name] = encode_conditions(tower, few, side, _SEED)

    seen = tuple(s for s, data in SAME_HOSPITAL.items() if data not in without)
    unseen = joined([part for name, part in drawn.items() if name not in seen])
    conditions = {
        name: _condition_aucs(part, texts.conditions)
        for name, part in {**drawn, 'all': unseen}.items()
    }
    among = _condition_aucs(unseen, texts.conditions, among=True)
    shuffled = tuple(
        fmean(_condition_aucs(unseen, texts.conditions[order], among=True).values())
        for order in shuffles(_SHUFFLES, _SEED)
    )

    scores = EndoScores(
        side,
        lesions,
        positions,
        blood,
        conditions,
        among,
        shuffled,
        kept=kept,
        seen=seen,
    )
    listed = UNSEEN_WORDS if words == 'unseen' else CHOOSING_WORDS
    for word, claim, text in other_texts(listed):
        if claim.condition is None:
            other = texts.with_lesion_text(claim, embed([text]))
            aucs = other.image_auc(polyps, mucosa), lesions[PACK]
        else:
            trained = conditions['all'][CONDITIONS[claim.condition]]
            aucs = unseen.auc_of(claim.condition, embed([text])[0]), trained
        scores.words[word] = aucs
    return scores


def _blood_auc(tower: nn.Module, pack: Pack, side: int, texts: _Texts) -> float:
    """AUC of the text of blood on real bleeding."""
    text = texts.conditions[CONDITIONS.index('blood')]
    bleeding, dry = (
        encode(tower, _of_kind(pack, kind), side, dense=False).embeddings
        for kind in ('wcebleedgen/bleeding', 'wcebleedgen/no bleeding')
    )
    return auc(bleeding @ text, dry @ text)
