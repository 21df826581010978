"""The command line that all converters share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mcdrl_common.findings import ConversionError

from .archive import Limits
from .engine import Options, convert
from .grouping import PathRule
from .publishing import Outcome
from .source import Source

EXIT_REFUSED = 1
EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130

_GIB = 2**30
_SHOWN = 50


def base_parser(description: str, example: str) -> argparse.ArgumentParser:
    """Make a parser with the arguments of every converter.

    Args:
        description: What the tool does.
        example: A command to show.
    """
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f'Example: {example}',
    )
    parser.add_argument(
        'input',
        nargs='+',
        type=Path,
        help='the data set as downloaded: a folder, or a .zip or .tar archive',
    )
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='folder of the converted sites; others in it stay as they are',
    )
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='leave out files with problems (they are named) and write the rest',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the site if it is there already and differs',
    )
    parser.add_argument(
        '--max-unpacked-gib',
        type=_gibibytes,
        default=Limits().total_bytes // _GIB,
        metavar='N',
        help='largest archive accepted, once unpacked (default: %(default)s)',
    )
    return parser


def _gibibytes(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number from 1')
    return int(text)


def add_group_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that tell sequences and patients by the images' paths.

    Args:
        parser: The tool's parser.
    """
    for what, group in (('sequence', 'video'), ('patient', 'patient')):
        parser.add_argument(
            f'--{what}-pattern',
            default='',
            metavar='REGEX',
            help=f'finds the {group} in an image path, as "case(\\d+)_"',
        )


def group_rules(args: argparse.Namespace) -> dict[str, PathRule]:
    """The rules that :func:`add_group_arguments` asked for.

    Args:
        args: The parsed command line.

    Raises:
        ConversionError: Not a regular expression.
    """
    return {
        'sequence': PathRule('sequence', args.sequence_pattern),
        'patient': PathRule('patient', args.patient_pattern),
    }


def run_tool(source: Source, arguments: Sequence[str] | None = None) -> int:
    """Run the converter of a data set.

    Args:
        source: The data set.
        arguments: The command line; None for the process's.

    Returns:
        Exit code: 0 when all that was wanted is there, 1 when data were refused, 2 for
        input that cannot be used at all.
    """
    tool = Path(sys.argv[0]).name
    parser = base_parser(
        f'Convert {source.title} to the common layout. Files expected: '
        f'{source.layout} Get it from {source.url}; terms: {source.licence}. What was '
        f'checked: {source.checked}',
        f'python tools/dataset_converters/{tool} DOWNLOAD --out data/endoscopy_sites',
    )
    if len(source.sites) > 1:
        parser.add_argument(
            '--sites',
            nargs='+',
            choices=source.sites,
            help='convert these only (default: all that are found)',
        )
    return run(lambda args: source, parser, arguments)


def run(
    make_source: Callable[[argparse.Namespace], Source],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a converter whose source depends on the command line.

    Args:
        make_source: Takes the parsed command line and returns the source.
        parser: As :func:`base_parser` makes it.
        arguments: The command line; None for the process's.

    Returns:
        Exit code, as of :func:`run_tool`.
    """
    args = parser.parse_args(arguments)
    try:
        source = make_source(args)
        options = Options(
            sites=tuple(getattr(args, 'sites', None) or ()) or None,
            overwrite=args.overwrite,
            skip_bad=args.skip_bad,
            limits=Limits(total_bytes=args.max_unpacked_gib * _GIB),
        )
        outcomes = convert(source, args.input, args.out, options)
    except ConversionError as error:
        print(f'error: {error}', file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f'error: {error}', file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print('stopped; no site is half written', file=sys.stderr)
        return EXIT_STOPPED
    for outcome in outcomes:
        _show(outcome)
    print(f'Checked: {source.checked}')
    refused = any(outcome.state == 'refused' for outcome in outcomes)
    return EXIT_REFUSED if refused else 0


def _show(outcome: Outcome) -> None:
    report = outcome.report
    problems = report['problems']
    for problem in problems[:_SHOWN]:
        line = f'{problem["kind"]}: {problem["file"]}: {problem["detail"]}'
        print(line, file=sys.stderr)
    if len(problems) > _SHOWN:
        print(f'... and {len(problems) - _SHOWN} more, see below', file=sys.stderr)
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
