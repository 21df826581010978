"""From a data set as downloaded to the common layout."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from .archive import Limits
from .errors import ConversionError, FileProblem, Finding
from .files import FileTree, open_inputs
from .images import ReadImage, read_image
from .index import COLUMNS, INDEX_FILE, index_text, merge_rows, read_index
from .masks import IGNORE, Decoded
from .names import unique_names
from .output import differences, put_folder, put_text, work_folder
from .quality import Fingerprint, fingerprint, has_position_box
from .report import (
    between_sites,
    between_sites_markdown,
    json_text,
    markdown_text,
    site_report,
)
from .source import FoundSite, Sample, Source

REPORTS = 'reports'
CLASSES_FILE = 'classes.json'
_SITE_NAME = re.compile(r'[A-Za-z0-9][\w.-]*')
_BETWEEN = 'between_sites'


@dataclass(frozen=True)
class Options:
    """How to convert.

    Args:
        sites: The sites wanted; None for all that are found.
        overwrite: Whether a site that is there already may be replaced.
        skip_bad: Whether to leave out what has problems and write the rest.
        limits: What an archive may hold.
    """

    sites: tuple[str, ...] | None = None
    overwrite: bool = False
    skip_bad: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Outcome:
    """What became of a site.

    Args:
        state: ``'written'``, ``'up to date'`` (nothing changed), ``'renewed'`` (images
            and masks as they were, index or report written again) or ``'refused'``.
        report: Its report.
        report_file: The report's Markdown file.
    """

    state: str
    report: dict[str, Any]
    report_file: Path


@dataclass(eq=False)
class _Built:
    """A site, finished in the work folder."""

    found: FoundSite
    folder: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    prints: dict[str, Fingerprint] = field(default_factory=dict)
    position_boxes: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def convert(
    source: Source, inputs: Sequence[Path], out: Path, options: Options | None = None
) -> list[Outcome]:
    """Convert a data set.

    All sites of a call are written, or none. Everything is built beside its final
    place first, and compared with what is there: a second call changes nothing.

    Args:
        source: The data set.
        inputs: Folders and archives as downloaded.
        out: Output folder; other sites may be there already.
        options: How to convert.

    Returns:
        One outcome for each site that has good pairs or problems.

    Raises:
        ConversionError: The input is not this data set, an archive is not to be
            trusted, or a site is there already and differs.
    """
    options = options or Options()
    _check_names(source, options)
    _check_out(inputs, out)
    with work_folder(out) as work:
        with open_inputs(inputs, work, options.limits) as tree:
            found = _find(source, tree, options)
            built = [_build(site, tree, work / 'sites' / site.site) for site in found]
            files = len(tree.images())
        names = [path.resolve().name for path in inputs]
        for site in built:
            site.report = site_report(
                source,
                site.found,
                names,
                files,
                site.rows,
                (site.problems, site.notes),
                site.prints,
                site.position_boxes,
            )
        good = [site for site in built if site.rows]
        if not options.skip_bad and any(site.problems for site in built):
            good = []
        outcomes = _commit(good, out, options.overwrite)
        return outcomes + _refuse([site for site in built if site not in good], out)


def _check_names(source: Source, options: Options) -> None:
    for name in source.sites:
        if not _SITE_NAME.fullmatch(name) or name == REPORTS:
            raise ConversionError(
                f'--site {name!r}: expected letters, digits, dots, dashes and '
                f'underscores, and not {REPORTS!r}.'
            )
    unknown = sorted(set(options.sites or ()) - set(source.sites))
    if unknown:
        raise ConversionError(f'--sites {unknown}: expected of {list(source.sites)}.')


def _check_out(inputs: Sequence[Path], out: Path) -> None:
    for path in inputs:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise ConversionError(
                f'--out {out} lies in the input folder {path}, and would be read as '
                'part of it next time. Choose a folder outside.'
            )


def _find(source: Source, tree: FileTree, options: Options) -> list[FoundSite]:
    found = source.find(tree)
    if options.sites is not None:
        found = [site for site in found if site.site in options.sites]
    if not found:
        raise ConversionError(
            f'no images of {source.title} found. Expected: {source.layout} Found '
            f'{len(tree.images())} image files, as {tree.images()[:3]}.'
        )
    return found


def _build(found: FoundSite, tree: FileTree, folder: Path) -> _Built:
    """Convert a site's good pairs into a folder, and name the others."""
    for part in ('images', 'masks'):
        (folder / part).mkdir(parents=True)
    built = _Built(
        found, folder, problems=list(found.problems), notes=list(found.notes)
    )
    names = unique_names({sample.image: sample.name for sample in found.samples})
    console = Console(stderr=True)
    for sample in track(
        found.samples,
        description=found.site,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ):
        _build_pair(built, sample, names[sample.image], tree)
    built.rows.sort(key=lambda row: row['image'])
    if found.indexed:
        values = {str(value): name for value, name in found.mask_values().items()}
        text = json.dumps({'mask_values': values}, indent=1, ensure_ascii=False)
        (folder / CLASSES_FILE).write_text(text + '\n', encoding='utf-8')
    return built


def _build_pair(built: _Built, sample: Sample, name: str, tree: FileTree) -> None:
    image = decoded = None
    try:
        image = read_image(tree.path(sample.image))
    except FileProblem as problem:
        built.problems.append(problem.of(sample.image))
    try:
        decoded = sample.mask.decode(tree, image.size if image else None)
    except FileProblem as problem:
        built.problems.append(problem.of(sample.mask.source or sample.image))
    if image is None or decoded is None:
        return
    _note(built, sample, name, image, decoded)
    site = built.found.site
    image_file = f'images/{name}{image.suffix}'
    mask_file = f'masks/{name}.png'
    image.write(built.folder / image_file)
    _write_mask(decoded.labels, built.found.indexed, built.folder / mask_file)
    built.prints[f'{site}/{image_file}'] = fingerprint(image.pixels)
    if has_position_box(image.pixels):
        built.position_boxes.append(f'{site}/{image_file}')
    lesion = (decoded.labels != 0) & (decoded.labels != IGNORE)
    present = np.unique(decoded.labels[lesion]).tolist()
    values = (
        site,
        f'{site}/{image_file}',
        f'{site}/{mask_file}',
        sample.sequence,
        sample.patient,
        ';'.join(built.found.lesion_classes[label - 1] for label in present),
        f'{lesion.mean():.6f}',
        str(image.size[0]),
        str(image.size[1]),
        sample.image,
        sample.mask.source,
    )
    built.rows.append(dict(zip(COLUMNS, values, strict=True)))


def _note(
    built: _Built, sample: Sample, name: str, image: ReadImage, decoded: Decoded
) -> None:
    """Note what was changed or is odd."""
    origin = sample.mask.source or sample.image
    built.notes += [Finding(kind, origin, text) for kind, text in decoded.notes]
    if name != sample.name:
        detail = f'named {name}, as {sample.name!r} is taken or makes trouble'
        built.notes.append(Finding('renamed', sample.image, detail))
    ending = Path(sample.image).suffix
    usual = '.jpg' if ending.lower() == '.jpeg' else ending.lower()
    if image.copied and usual != image.suffix:
        detail = f'holds what ends in {image.suffix}, and does so now'
        built.notes.append(Finding('wrong ending', sample.image, detail))
    elif image.copied and ending != image.suffix:
        detail = f'ending {ending} written as {image.suffix}'
        built.notes.append(Finding('ending', sample.image, detail))


def _write_mask(labels: np.ndarray, indexed: bool, target: Path) -> None:
    values = labels if indexed else np.where(labels, np.uint8(255), np.uint8(0))
    Image.fromarray(values).save(target, format='PNG')


def _refuse(built: Sequence[_Built], out: Path) -> list[Outcome]:
    """Write reports of what is wrong; what is there of the sites stays."""
    outcomes = []
    for site in built:
        file = out / REPORTS / f'{site.found.site}.refused.md'
        put_text(json_text(site.report), file.with_suffix('.json'))
        put_text(markdown_text(site.report, refused=True), file)
        outcomes.append(Outcome('refused', site.report, file))
    return outcomes


def _commit(built: Sequence[_Built], out: Path, overwrite: bool) -> list[Outcome]:
    if not built:
        return []
    index = out / INDEX_FILE
    rows = read_index(index) if index.is_file() else []
    changed = {site.found.site: _may_put(site, rows, out, overwrite) for site in built}
    outcomes = []
    for site in built:
        name = site.found.site
        if changed[name]:
            put_folder(site.folder, out / name)
        if not _same_rows(rows, site):
            rows = merge_rows(rows, name, site.rows)
        renewed = put_text(index_text(rows), index)
        file = out / REPORTS / f'{name}.md'
        renewed |= put_text(json_text(site.report), file.with_suffix('.json'))
        renewed |= put_text(markdown_text(site.report, refused=False), file)
        for ending in ('.refused.json', '.refused.md'):
            file.with_suffix(ending).unlink(missing_ok=True)
        state = 'written' if changed[name] else 'renewed' if renewed else 'up to date'
        outcomes.append(Outcome(state, site.report, file))
    _compare_sites({row['site'] for row in rows}, out)
    return outcomes


def _may_put(
    site: _Built, rows: Sequence[dict[str, str]], out: Path, overwrite: bool
) -> bool:
    """Whether the site's folder is to be written.

    Raises:
        ConversionError: It is there, differs, and may not be replaced.
    """
    name = site.found.site
    target = out / name
    if not target.exists():
        return True
    differing = differences(site.folder, target)
    what = f'{len(differing)} files, as {differing[:3]}' if differing else ''
    known = any(row['site'] == name for row in rows)
    if not differing and known and not _same_rows(rows, site):
        what = f'its rows in {INDEX_FILE}'
    if not what:
        return False
    if not (out / REPORTS / f'{name}.json').is_file():
        raise ConversionError(
            f'{target} is there and was not made by a converter. Move it away, or '
            'choose another --out.'
        )
    if not overwrite:
        raise ConversionError(
            f'{target} is there already and would change: {what}. Replace it with '
            '--overwrite, or choose another --out.'
        )
    return bool(differing)


def _same_rows(rows: Sequence[dict[str, str]], site: _Built) -> bool:
    old = [row for row in rows if row['site'] == site.found.site]
    return [{c: row[c] for c in COLUMNS} for row in old] == site.rows


def _compare_sites(sites: set[str], out: Path) -> None:
    """Write the report on images that occur at several sites."""
    prints, without = {}, []
    for site in sorted(sites):
        try:
            report = json.loads((out / REPORTS / f'{site}.json').read_text('utf-8'))
            found = report['fingerprints'].items()
            prints[site] = {name: Fingerprint(*texts) for name, texts in found}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            without.append(site)
    if len(prints) > 1:
        report = between_sites(prints, without)
        file = out / REPORTS / f'{_BETWEEN}.md'
        put_text(json_text(report), file.with_suffix('.json'))
        put_text(between_sites_markdown(report), file)
