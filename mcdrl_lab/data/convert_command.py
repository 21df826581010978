"""Convert a public data set, or your own folders, to the common layout.

Every source has its own --help: the expected files, where to get them, their licence,
and what was checked. See docs/datasets.md.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mcdrl_common.folder_argument import folder_name
from mcdrl_lab.errors import EXIT_STOPPED, errors_in_one_line

if TYPE_CHECKING:
    from .converters.pair_and_write import Outcome
    from .converters.path_rules import PathRule
    from .converters.source import Source

EXIT_REFUSED = 1

PUBLISHED = {
    'polypgen': 'PolypGen: polyps, colonoscopy, six hospitals',
    'kvasir-seg': 'Kvasir-SEG: polyps, colonoscopy, Norway',
    'cvc-clinicdb': 'CVC-ClinicDB: polyps, colonoscopy, Barcelona',
    'etis-larib': 'ETIS-LaribPolypDB: polyps, colonoscopy, Paris',
    'endotect': 'EndoTect, and the segmented images of HyperKvasir',
    'vocal-folds': 'Vocal folds: label maps, laryngoscopy',
    'bm-broncholc': 'BM-BronchoLC: lung cancer lesions, bronchoscopy, Hanoi',
    'laryngoscope8': 'Laryngoscope8: eight diagnoses, with masks that you bring',
}
"""Name of a published data set -> what it is. Its module in ``converters.sources`` has
the same name with underscores, and calls it ``SOURCE``."""

_GIB = 2**30
_MAX_UNPACKED_GIB = 200
_GROUPS_SHOWN = 50
_FILES_SHOWN = 5
_EXAMPLES = {
    'coco': 'export.zip --site my_clinic --annotations train.json val.json '
    '--out data/sites',
    'folder': 'my_clinic.zip --site my_clinic --masks annotations --mask-suffix _mask '
    '--class polyp --out data/sites',
}


class _SourceParser(argparse.ArgumentParser):
    """Parser of one source; its module is only imported to show its help."""

    source_name = ''

    def format_help(self) -> str:
        """Add a published data set's own description to the help."""
        if self.source_name in PUBLISHED:
            source = _published(self.source_name)
            self.description = (
                f'Convert {source.title} to the common layout. Files expected: '
                f'{source.layout} Source: {source.url}; licence: {source.licence}. '
                f'What was checked: {source.checked}'
            )
        return super().format_help()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    sources = parser.add_subparsers(
        dest='source', metavar='SOURCE', required=True, parser_class=_SourceParser
    )
    for name, summary in PUBLISHED.items():
        own = _add_source(sources, name, summary)
        if name == 'polypgen':
            own.add_argument(
                '--sites',
                nargs='+',
                metavar='SITE',
                help='convert these sites only (default: all that are found)',
            )
    _add_coco(sources)
    _add_folder(sources)


def _add_source(
    sources: argparse._SubParsersAction[_SourceParser], name: str, summary: str
) -> argparse.ArgumentParser:
    """Add a source with the arguments that all sources share."""
    example = _EXAMPLES.get(name, 'DOWNLOAD --out data/endoscopy_sites')
    parser = sources.add_parser(
        name,
        help=summary,
        description=f'Convert {summary} to the common layout.',
        epilog=f'Example: python -m mcdrl_lab convert {name} {example}',
    )
    parser.source_name = name
    parser.add_argument(
        'input',
        nargs='+',
        type=Path,
        help='the data set as downloaded: a folder, or a .zip or .tar archive',
    )
    parser.add_argument(
        '--out',
        type=folder_name,
        required=True,
        help='folder for the converted sites; other sites in it are left unchanged',
    )
    parser.add_argument(
        '--patients',
        type=Path,
        metavar='CSV',
        help='table with columns image and patient; image is a file name, with more '
        'of its path where several images share the name',
    )
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='skip files with problems, list them, and convert the rest',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the site if it exists and differs; values that you entered in '
        'index.csv are kept for unchanged images, and dropped values are listed',
    )
    parser.add_argument(
        '--max-unpacked-gib',
        type=_gibibytes,
        default=_MAX_UNPACKED_GIB,
        metavar='N',
        help='largest accepted size of an unpacked archive, in GiB (default: '
        '%(default)s)',
    )
    return parser


def _add_coco(sources: argparse._SubParsersAction[_SourceParser]) -> None:
    parser = _add_source(sources, 'coco', 'images with COCO-style JSON annotations')
    parser.description = (
        'Convert images with COCO-style JSON annotations to the common layout. '
        'Polygons and run lengths become masks; images without outlines are free of '
        'lesions.'
    )
    parser.add_argument('--site', required=True, help='name of the site')
    parser.add_argument(
        '--annotations',
        nargs='+',
        default=[],
        metavar='FILE',
        help='annotation files inside the input (default: the only JSON file)',
    )
    parser.add_argument(
        '--images',
        default='',
        metavar='FOLDER',
        help='look for images in this folder only (default: everywhere)',
    )
    parser.add_argument(
        '--categories',
        nargs='+',
        default=[],
        metavar='NAME',
        help='lesion classes, in the order of their indices (default: all with '
        'outlines)',
    )
    _add_path_rules(parser)


def _add_folder(sources: argparse._SubParsersAction[_SourceParser]) -> None:
    parser = _add_source(sources, 'folder', 'a folder of images and a folder of masks')
    parser.add_argument('--site', required=True, help='name of the site')
    parser.add_argument(
        '--images', default='images', help='folder of the images (default: %(default)s)'
    )
    parser.add_argument(
        '--masks', default='masks', help='folder of the masks (default: %(default)s)'
    )
    parser.add_argument(
        '--mask-suffix',
        default='',
        help='suffix of mask names, e.g. _mask (default: none)',
    )
    parser.add_argument(
        '--lesion-free',
        default='',
        metavar='FOLDER',
        help='folder of images without lesions and without masks; empty masks are '
        'written for them (default: every image needs a mask)',
    )
    meaning = parser.add_mutually_exclusive_group()
    meaning.add_argument(
        '--class',
        dest='lesion_class',
        default='lesion',
        help='lesion class of masks with the values 0 and 255 (default: %(default)s)',
    )
    meaning.add_argument(
        '--mask-values',
        nargs='+',
        type=_value_and_class,
        default=[],
        metavar='VALUE=CLASS',
        help='class of each mask value, e.g. 1=polyp (of palette images, the palette '
        'index counts), or of each colour, e.g. 255,0,0=polyp. background and ignore '
        'are classes too; 0 and 0,0,0 are background',
    )
    _add_path_rules(parser)


def _add_path_rules(parser: argparse.ArgumentParser) -> None:
    for what, group in (('sequence', 'video'), ('patient', 'patient')):
        parser.add_argument(
            f'--{what}-pattern',
            default='',
            metavar='REGEX',
            help=f'regular expression that finds the {group} in an image path, '
            'e.g. "case(\\d+)_"',
        )


def _gibibytes(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number above 0')
    return int(text)


def _value_and_class(text: str) -> tuple[int | tuple[int, int, int], str]:
    key, _, name = text.partition('=')
    numbers = [int(n) for n in key.split(',') if n.isdecimal() and int(n) < 256]
    if len(numbers) != key.count(',') + 1 or len(numbers) not in (1, 3) or not name:
        raise argparse.ArgumentTypeError(
            f'{text!r}: expected VALUE=CLASS with a value from 0 to 255, such as '
            '1=polyp, or R,G,B=CLASS, such as 255,0,0=polyp'
        )
    if len(numbers) == 1:
        return numbers[0], name
    return (numbers[0], numbers[1], numbers[2]), name


@errors_in_one_line(OSError)
def run(args: argparse.Namespace) -> int:
    """Convert the data set that the command line names.

    Returns:
        Exit code: 0 if all wanted sites are written or up to date, 1 if data were
        refused, 2 if the input cannot be used at all.
    """
    from .converters.archive import Limits
    from .converters.pair_and_write import Options, pair_and_write
    from .converters.patients_table import PatientsTable

    try:
        source = _make_source(args)
        options = Options(
            sites=tuple(getattr(args, 'sites', None) or ()) or None,
            overwrite=args.overwrite,
            skip_bad=args.skip_bad,
            patients=PatientsTable.read(args.patients) if args.patients else None,
            limits=Limits(total_bytes=args.max_unpacked_gib * _GIB),
        )
        outcomes = pair_and_write(source, args.input, args.out, options)
    except KeyboardInterrupt:
        print('stopped; no site is half written', file=sys.stderr)
        return EXIT_STOPPED
    for outcome in outcomes:
        _show(outcome)
    if args.source in PUBLISHED:
        print(f'Checked: {source.checked}')
    refused = any(outcome.state == 'refused' for outcome in outcomes)
    return EXIT_REFUSED if refused else 0


def _published(name: str) -> Source:
    module = f'.converters.sources.{name.replace("-", "_")}'
    return importlib.import_module(module, __package__).SOURCE


def _make_source(args: argparse.Namespace) -> Source:
    if args.source == 'coco':
        from .converters.sources.coco import coco_source

        return coco_source(
            site=args.site,
            annotations=tuple(args.annotations),
            images=args.images,
            categories=tuple(args.categories),
            **_path_rules(args),
        )
    if args.source == 'folder':
        from .converters.sources.folder import FolderOptions, folder_source

        return folder_source(
            FolderOptions(
                site=args.site,
                images=args.images,
                masks=args.masks,
                mask_suffix=args.mask_suffix,
                lesion_class=args.lesion_class,
                mask_values=dict(args.mask_values),
                lesion_free=args.lesion_free,
                **_path_rules(args),
            )
        )
    return _published(args.source)


def _path_rules(args: argparse.Namespace) -> dict[str, PathRule]:
    from .converters.path_rules import PathRule

    return {
        'sequence': PathRule('sequence', args.sequence_pattern),
        'patient': PathRule('patient', args.patient_pattern),
    }


def _show(outcome: Outcome) -> None:
    from .converters.decodings import OTHER_COLOURS, OTHER_MASKS

    report = outcome.report
    problems = report['problems']
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        kind_and_detail = problem['kind'], problem['detail']
        groups.setdefault(kind_and_detail, []).append(problem['file'])
    for (kind, detail), files in list(groups.items())[:_GROUPS_SHOWN]:
        shown, more = ', '.join(files[:_FILES_SHOWN]), len(files) - _FILES_SHOWN
        and_more = f' and {more} more' if more > 0 else ''
        print(f'{kind}: {shown}{and_more}: {detail}', file=sys.stderr)
    if len(groups) > _GROUPS_SHOWN:
        more = sum(map(len, list(groups.values())[_GROUPS_SHOWN:]))
        print(f'... and {more} more, in {outcome.report_file}', file=sys.stderr)
    for note in report['notes']:
        if note['kind'] in (OTHER_COLOURS, OTHER_MASKS):
            print(f'warning: {note["file"]}: {note["detail"]}', file=sys.stderr)
    for line in outcome.dropped:
        print(f'dropped from index.csv: {line}', file=sys.stderr)
    counts = report['counts']
    bad = counts['files with problems']
    if outcome.state == 'refused':
        print(
            f'{report["site"]}: nothing written: {bad} files with problems, '
            f'{counts["good pairs"]} good pairs. See {outcome.report_file}; '
            '--skip-bad writes the good pairs only.',
            file=sys.stderr,
        )
        return
    print(
        f'{report["site"]}: {outcome.state}: {counts["good pairs"]} pairs, '
        f'{counts["empty masks"]} without lesion, {bad} bad files skipped; groups of '
        f'duplicates: {len(report["exact_duplicates"])} exact, '
        f'{len(report["near_duplicates"])} near; green position box left in '
        f'{len(report["position_boxes"])} images. See {outcome.report_file}'
    )
