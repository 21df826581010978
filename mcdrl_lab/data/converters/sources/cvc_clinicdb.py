"""CVC-ClinicDB: polyps, colonoscopy, Hospital Clinic (Barcelona)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping

from mcdrl_common.image_index import read_table
from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.pairing import ENDING, ROOT, Layout, PatternSource
from mcdrl_lab.errors import ConversionError

# First frames of the 29 sequences.
_FIRST_FRAMES = (
    *(1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298),
    *(318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592),
)
_LAST_FRAME = 612
_TABLE = 'metadata.csv'


def sequence_rule(tree: FileTree) -> Callable[[Mapping[str, str]], str]:
    """Sequences from ``metadata.csv`` if it exists, else by frame number.

    Args:
        tree: All files.

    Returns:
        Function from the named groups, of which ``key`` is the frame's number, to the
        sequence's number.

    Raises:
        ConversionError: The table lacks the columns of frames and sequences, or they
            are not numbers.
    """
    table = _read_table(tree)

    def rule(groups: Mapping[str, str]) -> str:
        frame = int(groups['key'])
        if table:
            return table.get(frame, '')
        if not 1 <= frame <= _LAST_FRAME:
            return ''
        return f'{bisect_right(_FIRST_FRAMES, frame):02d}'

    return rule


def _read_table(tree: FileTree) -> dict[int, str]:
    for name in tree:
        if name.rpartition('/')[2].lower() == _TABLE:
            try:
                _, rows = read_table(tree.path(name))
                return {
                    int(row['frame_id']): f'{int(row["sequence_id"]):02d}'
                    for row in rows
                }
            except (KeyError, ValueError) as error:
                raise ConversionError(
                    f'{name}: expected columns frame_id and sequence_id with numbers: '
                    f'{error!r}.'
                ) from None
    return {}


_FRAME = r'(?P<key>\d+)'
_IMAGES = r'Original'
_MASKS = r'Ground[ _-]?Truth'


def _layout(folder: str) -> Layout:
    return Layout(
        'cvc_clinicdb',
        images=rf'{ROOT}{folder}{_IMAGES}/{_FRAME}{ENDING}',
        masks=rf'{ROOT}{folder}{_MASKS}/{_FRAME}{ENDING}',
        name='{key:0>4}',
    )


SOURCE = PatternSource(
    title='CVC-ClinicDB (Bernal et al., 2015)',
    url='https://polyp.grand-challenge.org/CVCClinicDB/ (CVC-ClinicDB.rar: unpack it '
    'yourself), or its copy on Kaggle with PNG/, TIF/ and metadata.csv',
    licence='research and education; cite the paper',
    layout='Original/N.tif and "Ground Truth"/N.tif, N from 1 to 612, or PNG/ and TIF/ '
    'with these two folders each, of which PNG/ is used.',
    checked=(
        'Folder and file names against descriptions and public loaders, never against '
        'the archive. The frame ranges of the 29 sequences come from one public list '
        '(Dataset Ninja); they cover 1 to 612 without a gap, as published, but were '
        'not checked against the images. metadata.csv takes precedence over them; its '
        'columns are known from descriptions only.'
    ),
    lesion_classes=('polyp',),
    layouts=(_layout('PNG/'), _layout('')),
    sequence_rule=sequence_rule,
)
