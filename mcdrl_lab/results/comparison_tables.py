"""Comparisons as tables of numbers, as Markdown, and as files with figures."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mcdrl_common.atomic_write import write_text
from mcdrl_common.written_files import WrittenFiles, check_renewable
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.folder_names import selection_ending
from mcdrl_lab.plans.records import RunRecord

from .comparison import Comparison
from .image_metrics import unit_of
from .scores import done
from .text_cells import ends, interval_ends, markdown, p_value, signed

# Longer method names are shortened, so that the file name does not get too long.
_LONGEST = 100
_DIGITS = 12
_EFFECT = ('a', 'b', 'difference', 'low', 'high', 'p', 'p_holm', 'images', 'seeds')
_RUNS = 'Runs: '
_WILCOXON = 'The Wilcoxon test looks at these sequences and these trained networks'


def effect_table(comparison: Comparison) -> pd.DataFrame:
    """All effects of a comparison as numbers, the mean over sites first.

    Args:
        comparison: From :func:`compare`.

    Returns:
        Columns label, a, b, difference, low, high, p, p_holm, images, seeds; with
        enough sites, a second row gives the interval with whole sites resampled.
    """
    rows = []
    for effect in (comparison.overall, *comparison.sites):
        values = {**vars(effect), **vars(effect.interval)}
        row = {'label': effect.site or 'mean over these sites'}
        rows.append(row | {name: values[name] for name in _EFFECT})
    if comparison.new_sites is not None:
        other = {'label': 'mean, new sites', 'p': math.nan, 'p_holm': math.nan}
        rows.insert(1, rows[0] | other | vars(comparison.new_sites))
    return pd.DataFrame(rows)


def comparison_cells(comparison: Comparison) -> pd.DataFrame:
    """All effects of a comparison as formatted text cells.

    Args:
        comparison: From :func:`compare`.

    Returns:
        The rows of :func:`effect_table`, with index ``held-out site``.
    """
    table = effect_table(comparison)
    cells = pd.DataFrame(
        {
            comparison.a: [f'{v:.1f}' for v in table['a']],
            comparison.b: [f'{v:.1f}' for v in table['b']],
            'difference': [f'{v:+.1f}' for v in table['difference']],
            '95 % interval': [
                ends(low, high) for low, high in zip(table['low'], table['high'])
            ],
            'Wilcoxon p': [p_value(v) for v in table['p']],
            'p (Holm)': [p_value(v) for v in table['p_holm']],
            'images': table['images'].astype(str),
            'seeds': table['seeds'].astype(str),
        }
    )
    cells.index = pd.Index(table['label'], name='held-out site')
    return cells


def overall_cells(comparison: Comparison) -> dict[str, str]:
    """The mean over sites of a comparison, as formatted text cells.

    Args:
        comparison: From :func:`compare`.
    """
    effect = comparison.overall
    return {
        'difference': signed(effect.difference),
        '95 %, these sites': interval_ends(effect.interval),
        '95 %, new sites': interval_ends(comparison.new_sites),
        'p (Holm)': p_value(effect.p_holm),
    }


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison as a Markdown section.

    Args:
        comparison: From :func:`compare`.
    """
    cells = comparison_cells(comparison)
    notes = [_wilcoxon_note([comparison]), *comparison.notes]
    if comparison.new_sites is None:
        notes.append('Too few sites for an interval about new sites.')
    return _section(f'{comparison.title}, {comparison.metric}', cells, notes)


def _section(title: str, cells: pd.DataFrame, notes: Sequence[str]) -> str:
    listed = ''.join(f'\n- {note}' for note in notes)
    return f'## {title}\n\n{markdown(cells)}{listed}\n'


def _wilcoxon_note(comparisons: Sequence[Comparison]) -> str:
    """Note on what the Wilcoxon test covers, and the interval beyond that.

    With a single seed the interval covers no more than the test.
    """
    if all(each.overall.seeds == 1 for each in comparisons):
        return f'{_WILCOXON}.'
    return f'{_WILCOXON}; the interval also counts how much other seeds would change.'


def lesion_class_table(found: Sequence[Comparison]) -> pd.DataFrame:
    """Effects by lesion class as numbers.

    Args:
        found: From
            :func:`~mcdrl_lab.results.lesion_classes.compare_by_lesion_class`.

    Returns:
        Columns lesion_class, a_name, b_name, and those of :func:`effect_table`. For the
        means over sites p_holm is corrected over all classes, for single sites over the
        sites of one class.
    """
    tables = []
    for each in found:
        table = effect_table(each)
        table.insert(0, 'lesion_class', each.lesion_class)
        table.insert(1, 'a_name', each.a)
        table.insert(2, 'b_name', each.b)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def lesion_class_cells(found: Sequence[Comparison]) -> pd.DataFrame:
    """Two methods by lesion class, means over sites, as formatted text cells.

    Args:
        found: The comparisons of two methods.
    """
    rows = {}
    for each in found:
        effect = each.overall
        rows[each.lesion_class] = {
            each.a: f'{effect.a:.1f}',
            each.b: f'{effect.b:.1f}',
            **overall_cells(each),
            'images': str(effect.images),
            'seeds': str(effect.seeds),
        }
    return pd.DataFrame(rows).T.rename_axis('lesion class')


def lesion_class_markdown(found: Sequence[Comparison]) -> str:
    """Comparisons by lesion class as Markdown, one section per pair of methods.

    Args:
        found: From
            :func:`~mcdrl_lab.results.lesion_classes.compare_by_lesion_class`.
    """
    sections = []
    for b in dict.fromkeys(each.b for each in found):
        own = [each for each in found if each.b == b]
        title = f'{own[0].title}, {own[0].metric}, by lesion class'
        notes = dict.fromkeys(note for each in own for note in each.notes)
        cells = lesion_class_cells(own)
        sections.append(_section(title, cells, [_wilcoxon_note(own), *notes]))
    return '\n'.join(sections)


@dataclass(frozen=True)
class ComparisonFiles:
    """The files of a comparison. Their names contain everything that is compared.

    Args:
        folder: Folder of the files.
        a: Name of the first method.
        others: Names of the methods it is compared with.
        metric: Per-image metric.
        selection: Kind of runs, ``'validation'`` or ``'oracle'``.
        described: Method -> description of its data and settings, see
            :func:`describe_runs`; it is written into the files.
        ending: Additional ending of the file names.
        pictures: Whether the effects are also drawn.
    """

    folder: Path
    a: str
    others: Sequence[str]
    metric: str
    selection: str
    described: Mapping[str, str]
    ending: str = ''
    pictures: bool = True

    @property
    def runs(self) -> str:
        """One line that describes the runs of all methods."""
        return f'{_RUNS}{", ".join(self.described.values())}'

    def made_of(self, *names: str) -> list[str]:
        """Inputs of a file, see :func:`~mcdrl_common.written_files.check_renewable`.

        Args:
            *names: Names of methods; by default all.
        """
        return ['compare', *(self.described[name] for name in names or self.described)]

    def path(self, suffix: str) -> Path:
        """Path of the file with this suffix.

        Args:
            suffix: Such as ``'.md'``.
        """
        names = '_'.join([self.a, *self.others])
        if len(names) > _LONGEST:
            digest = hashlib.sha256(names.encode()).hexdigest()[:8]
            names = f'{self.a[:_LONGEST]}_and_{len(self.others)}_others_{digest}'
        kind = f'{selection_ending(self.selection)}_{self.metric}{self.ending}'
        return self.folder / f'compare_{names}{kind}{suffix}'

    def picture(self, b: str) -> Path:
        """Path of the figure of an effect, without its suffix.

        Args:
            b: Name of the method that ``a`` is compared with.
        """
        names = f'{self.a}_{b}{selection_ending(self.selection)}'
        return self.folder / f'effect_{names}_{self.metric}'

    def check_replaceable(self, overwrite: bool) -> None:
        """Refuse to replace files that are not an earlier comparison of these runs.

        Args:
            overwrite: Whether a comparison of other runs may be replaced.

        Raises:
            ProtocolError: The Markdown file is no comparison, or one of other runs.
            OutputError: Another of the files was not made from these runs.
        """
        path = self.path('.md')
        if path.exists():
            self._check_text(path, overwrite)
            if not WrittenFiles(self.folder).made_of(path):
                # Written by an older version, which noted none of the files.
                return
        tables = [path, self.path('.csv')]
        check_renewable(tables, [], self.made_of(), overwrite)
        for b in self.others if self.pictures else ():
            from .plots import figure_paths  # late: Matplotlib is slow to import

            drawn = figure_paths(self.picture(b))
            check_renewable(drawn, [], self.made_of(self.a, b), overwrite)

    def _check_text(self, path: Path, overwrite: bool) -> None:
        text = path.read_text(encoding='utf-8', errors='replace')
        if not text.startswith(f'## {self.a}'):
            raise ProtocolError(
                f'{path} exists and is not a comparison. It is not replaced: choose '
                'another --out.'
            )
        # Files of older versions do not name their runs.
        there = [line for line in text.splitlines() if line.startswith(_RUNS)]
        if there and there[-1] != self.runs and not overwrite:
            raise ProtocolError(
                f'{path} compares other runs with these names ({there[-1]}; now '
                f'{self.runs}): choose another --out, or replace it with --overwrite.'
            )

    def write(self, text: str, table: pd.DataFrame) -> list[Path]:
        """Write text and numbers.

        Args:
            text: Markdown.
            table: Numbers.

        Returns:
            Paths of both files.
        """
        files = [self.path('.md'), self.path('.csv')]
        contents = f'{text}\n{self.runs}\n', table.to_csv(index=False)
        for path, content in zip(files, contents, strict=True):
            write_text(path, content)
            self.note(path, self.made_of())
        return files

    def note(self, path: Path, made_of: Sequence[str]) -> None:
        """Note that a file was written; call it at once, in case of a stop.

        Args:
            path: A file in the folder.
            made_of: From :meth:`made_of`.
        """
        WrittenFiles(self.folder).add(path, made_of)


def describe_runs(
    records: Iterable[RunRecord], names: Sequence[str], selection: str
) -> dict[str, str]:
    """Describe the runs of methods by what does not change while a plan grows.

    Args:
        records: Run records.
        names: Names of the methods.
        selection: Kind of runs.

    Returns:
        Method -> text with the hashes of its data and settings.
    """
    records = [record for record in done(records) if record.selection == selection]
    parts = {}
    for name in names:
        own = [record for record in records if record.method == name]
        data = sorted({record.data_hash[:_DIGITS] for record in own})
        # Older records have only the path of the config.
        settings = sorted({r.method_hash[:_DIGITS] or r.config for r in own})
        parts[name] = f'{name} (data {", ".join(data)}; {", ".join(settings)})'
    return parts


def write_comparisons(
    comparisons: Sequence[Comparison], files: ComparisonFiles
) -> list[Path]:
    """Write comparisons as Markdown, CSV and figures of the effects.

    Args:
        comparisons: From :func:`~mcdrl_lab.results.comparison.compare`.
        files: The files to write.

    Returns:
        Paths of all files written.
    """
    from mcdrl_common.figure_files import write_figure

    from .plots import effect_plot, figure_paths  # late: Matplotlib is slow to import

    tables, pictures = [], []
    for comparison in comparisons:
        table = effect_table(comparison)
        tables.append(table.assign(a_name=comparison.a, b_name=comparison.b))
        unit = unit_of(comparison.metric).replace('%', 'points')
        methods = comparison.title.replace(' against ', ' - ')
        title = f'{comparison.metric}: {methods} ({unit})'
        figure = effect_plot(table, title)
        for path in figure_paths(files.picture(comparison.b)):
            write_figure(figure, path)
            files.note(path, files.made_of(comparison.a, comparison.b))
            pictures.append(path)
    text = '\n'.join(comparison_markdown(comparison) for comparison in comparisons)
    return [*files.write(text, pd.concat(tables)), *pictures]
