"""A Markdown page whose tables, between markers, are generated from records."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mcdrl_common.atomic_write import write_text
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.json_lines import read_lines
from mcdrl_lab.plans.records import RunRecord, read_latest
from mcdrl_lab.results.invariance_tables import (
    confounder_table,
    invariance_table,
    read_invariance,
)
from mcdrl_lab.results.plots import save_figure
from mcdrl_lab.results.presence import presence_scores, presence_table

from . import evidence_blocks as blocks
from .drawn_block import drawn_block, read_cells
from .endosim_classes import with_lesion_classes

_MARKER = re.compile(
    r'<!-- evidence: (?P<order>.*?) -->\n.*?<!-- /evidence -->', re.DOTALL
)
_COSTS_FILE = 'latency.jsonl'
_MEASURED_WITH = ('size', 'threads', 'device', 'machine', 'torch')
_PICTURES = 'images'
# (ending of a kind, its metric)
_METRICS = (
    ('', 'dice'),
    ('_all_images', 'dice_all'),
    ('_false_positives', 'false_positive'),
)


class EvidencePage:
    """A page, and the records that its generated parts come from.

    The text between ``<!-- evidence: KIND ARGUMENTS -->`` and ``<!-- /evidence -->`` is
    generated from records; all other text is kept. RECORDS names the file
    ``RECORDS.jsonl.gz`` in the folder of records. Kinds:

    - ``scores RECORDS``: Dice of each method at each held-out site;
    - ``compare RECORDS METHOD [OTHER ...]``: differences with intervals and tests;
    - ``compare_all_images RECORDS METHOD [OTHER ...]``: the same for Dice over all
      images, and ``compare_false_positives ...`` for the share of lesion-free images
      with a false positive;
    - ``draws METHOD [OTHER ...] DRAW=RECORDS ...``, ``draws_all_images ...``,
      ``draws_false_positives ...``: the differences on several draws of the data, side
      by side, and their mean;
    - ``lesion_classes RECORDS METHOD OTHER [SEED]``: two methods on the images of each
      lesion class. SEED is the seed of the EndoSim data set, for older records without
      lesion classes;
    - ``draws_lesion_classes METHOD OTHER SEED=RECORDS ...``: the same difference on
      several draws of EndoSim;
    - ``sweep RECORDS REFERENCE SETTING ...``: Dice, difference and cost of settings;
    - ``shift METHOD OTHER STRENGTH=RECORDS ...``, ``shift_all_images ...``,
      ``shift_false_positives ...``: the effect against the shift;
    - ``drawn RECORDS TABLE``: Dice with and without a drawn condition, from the table
      of drawn conditions ``TABLE.csv``;
    - ``presence RECORDS METHOD LOSS [SEED ...]``: a method without and with masks left
      empty below a confidence that costs at most LOSS points at the other sites;
    - ``invariance``, ``confounders METHOD``: from ``invariance.jsonl``;
    - ``runs RECORDS ...``: contents of the records, and the training time.

    Args:
        path: The page; the records are in the folder ``evidence`` beside it.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._read: dict[str, list[RunRecord]] = {}
        self.folder = self.path.parent / 'evidence'
        self._kinds: dict[str, Callable[[list[str], bool], str]] = {
            'scores': self._scores,
            **{f'compare{end}': partial(self._compare, m) for end, m in _METRICS},
            **{f'draws{end}': partial(self._draws, m) for end, m in _METRICS},
            'lesion_classes': self._lesion_classes,
            'draws_lesion_classes': self._draws_lesion_classes,
            'sweep': self._sweep,
            **{f'shift{end}': partial(self._shift, end, m) for end, m in _METRICS},
            'drawn': self._drawn,
            'presence': self._presence,
            'invariance': self._invariance,
            'confounders': self._confounders,
            'runs': self._runs,
        }

    def render(self, pictures: bool = False) -> str:
        """The page's text with its generated parts filled in from the records.

        Args:
            pictures: Whether to write the figures too.

        Raises:
            ProtocolError: No such page, an invalid marker, or records that cannot be
                used.
        """
        if not self.path.is_file():
            raise ProtocolError(f'the page {self.path} does not exist.')
        try:
            text = self.path.read_text(encoding='utf-8')
        except UnicodeDecodeError as error:
            raise ProtocolError(f'{self.path}: not UTF-8 text: {error}.') from None
        begun, ended = text.count('<!-- evidence:'), text.count('<!-- /evidence -->')
        if begun != ended or len(_MARKER.findall(text)) != begun:
            raise ProtocolError(
                f'{self.path}: {begun} markers start a generated part and {ended} end '
                'one. Each part needs "<!-- evidence: KIND ... -->" and '
                '"<!-- /evidence -->", on lines of their own.'
            )
        return _MARKER.sub(lambda found: self._fill(found['order'], pictures), text)

    def write(self) -> None:
        """Write the page and its figures again."""
        write_text(self.path, self.render(pictures=True))

    def _fill(self, order: str, pictures: bool) -> str:
        try:
            kind, *arguments = shlex.split(order) or ['']
        except ValueError as error:
            raise ProtocolError(f'{self.path}, {order!r}: {error}.') from None
        if kind not in self._kinds:
            raise ProtocolError(
                f'{self.path}: unknown kind of evidence {kind!r}; choose one of '
                f'{", ".join(self._kinds)}.'
            )
        try:
            content = self._kinds[kind](arguments, pictures)
        except _NotMeasuredError as missing:
            content = f'*Not measured yet: there is no {missing}.*\n'
        except (IndexError, ValueError, KeyError) as error:
            if isinstance(error, ProtocolError):
                raise ProtocolError(f'{self.path}, {order!r}: {error}') from error
            raise ProtocolError(
                f'{self.path}, {order!r}: wrong or missing arguments ({error}).'
            ) from error
        return f'<!-- evidence: {order} -->\n\n{content}\n<!-- /evidence -->'

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise _NotMeasuredError(f'{self.folder.name}/{name}')
        return path

    def _records(self, name: str) -> list[RunRecord]:
        # Cached: several parts of a page use the same file.
        if name not in self._read:
            self._read[name] = read_latest(self._file(f'{name}.jsonl.gz'))
        return self._read[name]

    def _named_records(self, pairs: Sequence[str]) -> dict[str, list[RunRecord]]:
        """Name -> records, from arguments NAME=RECORDS."""
        split = [pair.split('=', 1) for pair in pairs]
        return {name: self._records(records) for name, records in split}

    def _scores(self, arguments: list[str], _: bool) -> str:
        (name,) = arguments
        return blocks.scores_block(self._records(name))

    def _compare(self, metric: str, arguments: list[str], _: bool) -> str:
        name, method, *others = arguments
        return blocks.compare_block(self._records(name), method, others, metric)

    def _draws(self, metric: str, arguments: list[str], _: bool) -> str:
        method, *others = [word for word in arguments if '=' not in word]
        draws = self._named_records([word for word in arguments if '=' in word])
        if not draws:
            raise ValueError('no DRAW=RECORDS')
        return blocks.draws_block(draws, method, others, metric)

    def _lesion_classes(self, arguments: list[str], _: bool) -> str:
        name, a, b, *seed = arguments
        records = self._records(name)
        if seed:
            records = with_lesion_classes(records, *map(int, seed))
        return blocks.lesion_classes_block(records, a, b)

    def _draws_lesion_classes(self, arguments: list[str], _: bool) -> str:
        a, b, *pairs = arguments
        draws = {
            seed: with_lesion_classes(records, int(seed))
            for seed, records in self._named_records(pairs).items()
        }
        return blocks.draws_lesion_classes_block(draws, a, b)

    def _sweep(self, arguments: list[str], _: bool) -> str:
        name, reference, *settings = arguments
        path = self.folder / _COSTS_FILE
        records = self._records(name)
        lines: list[dict] = read_lines(path)
        # The methods of a plan take turns; those of two plans saw other load.
        plans: dict[str, dict[str, dict]] = {}
        for line in reversed(lines):
            if line['method'] in settings and _is_of(line, records):
                own = plans.setdefault(line.get('plan', ''), {})
                own.setdefault(line['method'], line)
        costs = max(plans.values(), key=len, default={})
        for key in _MEASURED_WITH:
            values = dict.fromkeys(line.get(key) for line in costs.values())
            if len(values) > 1:
                raise ProtocolError(
                    f'{path}: the last rows of {", ".join(costs)} differ in {key} '
                    f'({", ".join(map(str, values))}), so that their times cannot be '
                    'compared. Measure them again with python -m mcdrl_lab latency.'
                )
        return blocks.sweep_block(records, settings, reference, costs)

    def _shift(
        self, ending: str, metric: str, arguments: list[str], pictures: bool
    ) -> str:
        a, b, *pairs = arguments
        named = self._named_records(pairs)
        records = {float(strength): own for strength, own in named.items()}
        effects = blocks.shift_effects(records, a, b, metric)
        picture = f'{_PICTURES}/evidence_shift{ending}_{a}_{b}'
        if pictures:
            figure = blocks.shift_figure(effects, metric)
            save_figure(figure, self.path.parent / picture, ['.png'])
        return blocks.shift_block(effects, f'{picture}.png', metric)

    def _drawn(self, arguments: list[str], _: bool) -> str:
        name, table = arguments
        return drawn_block(self._records(name), read_cells(self._file(f'{table}.csv')))

    def _presence(self, arguments: list[str], _: bool) -> str:
        name, method, loss, *seeds = arguments
        chosen = [int(seed) for seed in seeds] or None
        scores = presence_scores(self._records(name), method, chosen)
        return presence_table(scores, float(loss))

    def _invariance(self, arguments: list[str], _: bool) -> str:
        return invariance_table(self._invariance_records(arguments))

    def _confounders(self, arguments: list[str], _: bool) -> str:
        method, *rest = arguments
        return confounder_table(self._invariance_records(rest), method)

    def _invariance_records(self, arguments: Sequence[str]) -> list:
        if arguments:
            raise ValueError(f'unexpected {arguments}')
        return read_invariance(self._file('invariance.jsonl'))

    def _runs(self, names: list[str], _: bool) -> str:
        return blocks.runs_block({name: self._records(name) for name in names})


class _NotMeasuredError(Exception):
    """A file of records does not exist yet."""


def _is_of(line: dict, records: Sequence[RunRecord]) -> bool:
    """Whether a cost may be of the method's network; older costs have no hash of it."""
    own = {r.model_hash for r in records if r.method == line['method']} - {''}
    return not own or line.get('model_hash', '') in {'', *own}
