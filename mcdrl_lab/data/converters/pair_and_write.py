"""Conversion of a downloaded data set into the common layout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcdrl_lab.data.output_folder import work_folder
from mcdrl_lab.errors import ConversionError

from .archive import Limits
from .conversion_report import site_report
from .input_files import FileTree, open_inputs
from .patients_table import PatientsTable
from .publishing import REPORTS, Outcome, publish, refuse
from .site_building import build_site
from .source import FoundSite, Source

_SITE_NAME = re.compile(r'[A-Za-z0-9][\w.-]*')


@dataclass(frozen=True)
class Options:
    """How to convert.

    Args:
        sites: The sites wanted; None for all that are found.
        overwrite: Whether a site that is there already may be replaced.
        skip_bad: Whether to leave out files with problems and write the rest.
        limits: What an archive may hold.
        patients: Table of patients; for images in it, replaces what the source knows.
    """

    sites: tuple[str, ...] | None = None
    overwrite: bool = False
    skip_bad: bool = False
    limits: Limits = field(default_factory=Limits)
    patients: PatientsTable | None = None


def pair_and_write(
    source: Source, inputs: Sequence[Path], out: Path, options: Options | None = None
) -> list[Outcome]:
    """Convert a data set.

    If any site has problems, no site is written, unless ``skip_bad``. All sites are
    first built in a temporary folder and compared with existing ones: a second call
    changes nothing.

    Args:
        source: The data set.
        inputs: Folders and archives as downloaded.
        out: Output folder; other sites may be there already.
        options: How to convert.

    Returns:
        One outcome for each site that has good pairs or problems.

    Raises:
        ConversionError: The input is not this data set, an archive is refused, or a
            site exists already and differs.
    """
    options = options or Options()
    _check_names(source, options)
    _check_out(inputs, out)
    with work_folder(out) as work:
        with open_inputs(inputs, work, options.limits) as tree:
            found = _find(source, tree, options)
            built = [
                build_site(site, tree, work / 'sites' / site.site) for site in found
            ]
            files = len(tree.images())
        names = [path.resolve().name for path in inputs]
        for site in built:
            site.report = site_report(source, site, names, files)
        good = [site for site in built if site.rows]
        if not options.skip_bad and any(site.problems for site in built):
            good = []
        outcomes = publish(good, out, options.overwrite)
        return outcomes + refuse([site for site in built if site not in good], out)


def _check_names(source: Source, options: Options) -> None:
    for name in source.sites:
        if not _SITE_NAME.fullmatch(name) or name == REPORTS:
            raise ConversionError(
                f'--site {name!r}: expected letters, digits, dots, dashes and '
                f'underscores, and not {REPORTS!r}.'
            )
    unknown = sorted(set(options.sites or ()) - set(source.sites))
    if unknown:
        raise ConversionError(
            f'--sites {unknown}: expected some of {list(source.sites)}.'
        )


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
            f'{len(tree.images())} image files, such as {tree.images()[:3]}.'
        )
    if options.patients is not None:
        options.patients.fill(found)
    return found
