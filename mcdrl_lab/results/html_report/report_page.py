"""The report of an evaluation: one self-contained HTML file."""

from __future__ import annotations

import datetime
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcdrl_common.atomic_write import write_text
from mcdrl_common.written_files import WrittenFiles, check_noted, check_place, places
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.html_page import is_replaceable, render_page
from mcdrl_lab.installed_versions import installed_versions
from mcdrl_lab.pictures import figure_uri, image_uri
from mcdrl_lab.results.comparison import compare
from mcdrl_lab.results.plots import box_plot
from mcdrl_lab.results.run_curves import run_curves
from mcdrl_lab.results.run_log import read_run_log
from mcdrl_lab.results.tables import ORACLE_NOTE

from . import report_tables as tables
from .calibration_section import calibration_table, reliability_figure
from .chosen_cases import choose_cases
from .drawn_runs import ReportOptions, draw_runs
from .lesion_section import lesion_wise_table
from .report_source import ReportSource, load_source

if TYPE_CHECKING:
    from mcdrl_lab.plans.records import RunRecord

    from .run_pictures import RunPictures

GENERATOR = 'mcdrl_lab.results.html_report'
# Generator in pages of older versions; these may be replaced too.
EARLIER_GENERATOR = 'mcdrl_mmseg.reporting'
_TEMPLATE = 'report.html.j2'
_EXPLANATION_DPI = 90


def write_page(
    path: str | os.PathLike,
    out: str | os.PathLike | None = None,
    options: ReportOptions | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the report of a plan or of one run.

    Args:
        path: See :func:`~mcdrl_lab.results.html_report.report_source.load_source`.
        out: The HTML file; None writes ``report.html`` beside the records.
        options: Options of the report.
        overwrite: Whether the report of another plan or run may be replaced.

    Returns:
        Path of the file.

    Raises:
        ProtocolError: No results, an unknown method, or ``out`` is a file that is no
            report.
        OutputError: ``out`` is the report of another plan or run, or cannot be written.
    """
    options = options or ReportOptions()
    source = load_source(path)
    out = source.root / 'report.html' if out is None else Path(out)
    _check_replaceable(out)
    check_place(out)
    made_of = ['report', *places(source.place)]
    # Reports of older versions do not say what they were made from.
    if not overwrite:
        check_noted(out, made_of)
    method = options.method or source.methods[-1]
    if method not in source.methods:
        raise ProtocolError(
            f'no finished run of the method {method!r}; choose one of '
            f'{", ".join(source.methods)}.'
        )
    pictures: dict[str, RunPictures] = {}
    problems: list[str] = []
    if options.pictures:
        pictures, problems = draw_runs(source, method, options)
    content = build_content(source, method, pictures, problems, options.title)
    write_text(out, render(content))
    WrittenFiles(out.parent).add(out, made_of)
    return out


def build_content(
    source: ReportSource,
    method: str,
    pictures: Mapping[str, RunPictures],
    problems: Sequence[str] = (),
    title: str | None = None,
) -> dict[str, Any]:
    """The variables of the template.

    Args:
        source: The results.
        method: Method of the pictures.
        pictures: From :func:`draw_runs`.
        problems: From :func:`draw_runs`.
        title: Title of the page.
    """
    groups = tables.by_method(source.records)
    comparisons, not_compared = _comparisons(source, method)
    curves, no_curves = _curves(source)
    failed = [r for r in source.records if r.status == 'failed']
    return dict(
        generator=GENERATOR,
        title=title or f'MCDRL report: {source.path.resolve().name}',
        date=datetime.date.today().isoformat(),
        source=str(source.path),
        is_plan=source.is_plan,
        runs=len(source.records) - len(failed),
        failed=len(failed),
        summaries=[tables.summary(name, runs) for name, runs in groups.items()],
        oracle_note=ORACLE_NOTE
        if any(r.selection == 'oracle' for r in source.records)
        else None,
        side_by_side=tables.side_by_side(groups),
        results=[tables.results_table(name, runs) for name, runs in groups.items()],
        calibration=_calibration(groups),
        lesion_wise=[
            table
            for name, runs in groups.items()
            if (table := lesion_wise_table(name, runs)) is not None
        ],
        comparisons=[
            dict(table=tables.comparison_table(c), notes=c.notes) for c in comparisons
        ],
        not_compared=not_compared,
        box_plot=_box_plot(source),
        method=method,
        cases=_cases(source, method, pictures),
        problems=list(problems),
        profile=_profile(pictures),
        curves=curves,
        no_curves=no_curves,
        data=tables.data_table(source.records),
        data_hashes=sorted({r.data_hash for r in source.records if r.data_hash}),
        runs_table=tables.runs_table(source),
        versions=tables.versions_table(source.records, installed_versions()),
        own_command=shlex.join(['python', '-m', 'mcdrl_lab', *sys.argv[1:]]),
        commands=tables.commands(source),
        configs=sorted({r.config for r in source.records if r.config}),
    )


def render(content: Mapping[str, Any]) -> str:
    """Render a report as HTML; every text in it is escaped.

    Args:
        content: From :func:`build_content`.
    """
    return render_page(_TEMPLATE, ['mcdrl_lab.results.html_report'], **content)


def _check_replaceable(path: Path) -> None:
    if path.is_dir():
        raise ProtocolError(
            f'{path} is a folder: choose a file, such as {path}/report.html.'
        )
    if not is_replaceable(path, GENERATOR, EARLIER_GENERATOR):
        raise ProtocolError(
            f'{path} exists and is not a report. It is not replaced: choose another '
            'file.'
        )


def _comparisons(source: ReportSource, method: str) -> tuple[list, list[str]]:
    """Comparisons of the method with each other one, and reasons for missing ones."""
    found, reasons = [], []
    for selection in sorted({r.selection for r in source.records}, reverse=True):
        names = [
            r.method
            for r in source.records
            if (r.selection, r.status) == (selection, 'done')
        ]
        others = [name for name in dict.fromkeys(names) if name != method]
        if method not in names or not others:
            continue
        try:
            found += compare(source.records, method, others, selection=selection)
        except ProtocolError as error:
            reasons.append(str(error))
    return found, reasons


def _box_plot(source: ReportSource) -> str | None:
    try:
        return figure_uri(box_plot(source.records))
    except ProtocolError:
        return None  # no image has a lesion


def _cases(
    source: ReportSource, method: str, pictures: Mapping[str, RunPictures]
) -> list[dict]:
    """One group per site, with the cases and their pictures."""
    groups = []
    for site, record in source.first_runs(method).items():
        cases = choose_cases(record.images)
        drawn = pictures[site].cases if site in pictures else {}
        pages = pictures[site].explanations if site in pictures else {}
        entries = [
            dict(
                name=name,
                uri=image_uri(drawn[name]) if name in drawn else None,
                width=drawn[name].shape[1] if name in drawn else None,
                height=drawn[name].shape[0] if name in drawn else None,
                image=case['image'],
                dice=f'{100 * case["dice"]:.1f}',
                explanation=figure_uri(pages[name], _EXPLANATION_DPI)
                if name in pages
                else None,
            )
            for name, case in cases.items()
        ]
        run = f'seed {record.seed}' if source.is_plan else ''
        note = pictures[site].note if site in pictures else None
        groups.append(dict(site=site, run=run, cases=entries, note=note))
    return groups


def _calibration(groups: Mapping[str, Sequence[RunRecord]]) -> list[dict]:
    """Table and figure of each method whose runs recorded calibration."""
    sections = []
    for name, runs in groups.items():
        table, figure = calibration_table(name, runs), reliability_figure(runs)
        if table is not None:
            uri = figure_uri(figure) if figure is not None else None
            sections.append(dict(method=name, table=table, uri=uri))
    return sections


def _profile(pictures: Mapping[str, RunPictures]) -> str | None:
    attention, priors = {}, []
    names: tuple[str, ...] = ()
    for site, drawn in pictures.items():
        if drawn.attention is not None and drawn.prior is not None:
            attention[site], names = drawn.attention, names or drawn.names
            priors.append(drawn.prior)
    if not attention:
        return None
    from mcdrl_mmseg.visualization.confounder_profile import confounder_profile

    # Each fold may have estimated its own prior.
    return figure_uri(confounder_profile(attention, names, np.mean(priors, axis=0)))


def _curves(source: ReportSource) -> tuple[list[dict], list[str]]:
    """One figure per method, of its runs with the lowest seed; methods without logs."""
    figures, lacking = [], []
    for method in source.methods:
        logs = {}
        for record in source.first_runs(method).values():
            folder = source.folders.get(record.key)
            # The sites of a single work folder share one training.
            name = record.held_out if source.is_plan else record.method
            if folder is None or name in logs:
                continue
            try:
                logs[name] = read_run_log(folder)
            except ProtocolError:
                continue
        if logs:
            figures.append(
                dict(method=method, uri=figure_uri(run_curves(logs)), runs=list(logs))
            )
        else:
            lacking.append(method)
    return figures, lacking
