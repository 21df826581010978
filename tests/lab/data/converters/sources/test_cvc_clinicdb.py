import numpy as np
import pytest

from mcdrl_lab.data.converters.pair_and_write import pair_and_write
from mcdrl_lab.data.converters.sources import cvc_clinicdb
from mcdrl_lab.errors import ConversionError


def column(rows, name):
    return [row[name] for row in rows.values()]


CVC_FRAMES = {1: '01', 25: '01', 26: '02', 205: '10', 206: '11', 591: '28', 612: '29'}


@pytest.mark.parametrize(
    ('folder', 'ending'),
    [
        ('CVC-ClinicDB/', 'tif'),
        ('CVC-ClinicDB/PNG/', 'png'),
        ('TIF/', 'tif'),
        ('', 'tif'),
    ],
)
def test_cvc_clinicdb_sequences_follow_from_the_frame_numbers(
    make, converted, out, read_mask, box_mask, folder, ending
):
    for frame in CVC_FRAMES:
        make.pair(
            f'{folder}Original/{frame}.{ending}',
            f'{folder}Ground Truth/{frame}.{ending}',
        )
    rows = converted(cvc_clinicdb.SOURCE)
    found = {int(r['image'][-8:-4]): r['sequence'] for r in rows.values()}
    assert found == CVC_FRAMES
    assert column(rows, 'image') == sorted(column(rows, 'image'))
    first = rows[f'{folder}Original/1.{ending}']
    assert first['image'] == 'cvc_clinicdb/images/0001.png'
    assert np.array_equal(read_mask(out / first['mask']), box_mask)


def test_cvc_clinicdb_prefers_png_to_tif(make, converted):
    for kind in ('PNG', 'TIF'):
        ending = kind.lower()
        make.pair(f'{kind}/Original/7.{ending}', f'{kind}/Ground Truth/7.{ending}')
    assert list(converted(cvc_clinicdb.SOURCE)) == ['PNG/Original/7.png']


def test_cvc_clinicdb_sequences_come_from_the_metadata_if_it_exists(make, converted):
    for frame in (1, 2):
        make.pair(f'PNG/Original/{frame}.png', f'PNG/Ground Truth/{frame}.png')
    (make.root / 'metadata.csv').write_text(
        'frame_id,sequence_id,png_image_path\n1,5,PNG/Original/1.png\n'
    )
    assert column(converted(cvc_clinicdb.SOURCE), 'sequence') == ['05', '']


def test_cvc_clinicdb_metadata_without_sequences_is_refused(make, download, out):
    make.pair('Original/1.tif', 'Ground Truth/1.tif')
    (make.root / 'metadata.csv').write_text('frame,sequence\n1,5\n')
    with pytest.raises(ConversionError, match=r'metadata.csv: expected.*sequence_id'):
        pair_and_write(cvc_clinicdb.SOURCE, [download], out)
