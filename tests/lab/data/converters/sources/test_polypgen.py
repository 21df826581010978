from pathlib import PurePosixPath

import pytest

from mcdrl_lab.data.converters.pair_and_write import Options, pair_and_write
from mcdrl_lab.data.converters.sources import polypgen


def column(rows, name):
    return [row[name] for row in rows.values()]


ROOT = 'PolypGen2021_MultiCenterData_v3'


@pytest.fixture
def six_centres(make):
    for centre, name in enumerate(
        (
            '100H0050',
            'EndoCV2021_001000',
            'C3_EndoCV2021_00489_',
            '31_endocv2021_positive_329 2',
            'C5_1',
            'EndoCV2021_C6_0100001',
        ),
        start=1,
    ):
        base = f'{ROOT}/data_C{centre}'
        mask = name.rstrip('_')
        make.image(f'{base}/images_C{centre}/{name}.jpg')
        make.mask(
            f'{base}/masks_C{centre}/{mask}_mask.jpg',
            mode='RGB' if centre < 3 else 'L',
        )
        make.image(f'{base}/bbox_image_C{centre}/{mask}_mask_bbox.jpg')
    for number in (2, 16):
        base = f'{ROOT}/sequenceData/positive/seq{number}'
        make.pair(
            f'{base}/images_seq{number}/1.jpg', f'{base}/masks_seq{number}/1_mask.jpg'
        )
        (make.root / base / f'masks_seq{number}/1.txt').write_text('polyp 1 2 3 4')
    make.image(f'{ROOT}/sequenceData/negativeOnly/seq4_neg/x_1.jpg')
    make.image(f'{ROOT}/imagesAll_positive/100H0050.jpg')


def test_polypgen_has_a_site_for_each_centre(six_centres, converted):
    rows = converted(polypgen.SOURCE)
    assert sorted(column(rows, 'image')) == [
        'polypgen_c1/images/100H0050.jpg',
        'polypgen_c2/images/EndoCV2021_001000.jpg',
        'polypgen_c3/images/C3_EndoCV2021_00489.jpg',
        'polypgen_c4/images/31_endocv2021_positive_329_2.jpg',
        'polypgen_c5/images/C5_1.jpg',
        'polypgen_c6/images/EndoCV2021_C6_0100001.jpg',
        'polypgen_negative/images/seq4_neg_x_1.jpg',
        'polypgen_sequences/images/seq16_1.jpg',
        'polypgen_sequences/images/seq2_1.jpg',
    ]
    positive = f'{ROOT}/sequenceData/positive/seq2/images_seq2/1.jpg'
    assert rows[positive]['sequence'] == 'seq2'
    negative = rows[f'{ROOT}/sequenceData/negativeOnly/seq4_neg/x_1.jpg']
    assert (negative['sequence'], negative['classes']) == ('seq4_neg', '')
    assert negative['source_mask'] == ''


def test_polypgen_sites_can_be_chosen(six_centres, converted, out):
    rows = converted(polypgen.SOURCE, sites=('polypgen_c1', 'polypgen_c6'))
    assert column(rows, 'site') == ['polypgen_c1', 'polypgen_c6']
    assert not (out / 'polypgen_c2').exists()


def test_a_problem_in_one_centre_prevents_writing_any_centre(
    six_centres, make, download, out
):
    make.image(f'{ROOT}/data_C2/images_C2/alone.jpg')
    outcomes = pair_and_write(polypgen.SOURCE, [download], out)
    assert {outcome.state for outcome in outcomes} == {'refused'}
    assert [path.name for path in out.iterdir() if path.is_dir()] == ['reports']


def test_skip_bad_writes_the_other_centres_if_one_has_no_good_pair(
    six_centres, download, out
):
    (download / ROOT / 'data_C2/masks_C2/EndoCV2021_001000_mask.jpg').unlink()
    outcomes = pair_and_write(polypgen.SOURCE, [download], out, Options(skip_bad=True))
    states = {outcome.report['site']: outcome.state for outcome in outcomes}
    assert states.pop('polypgen_c2') == 'refused'
    assert set(states.values()) == {'written'}
    assert not (out / 'polypgen_c2').exists()
    assert (out / 'reports/polypgen_c2.refused.md').is_file()


def test_real_masks_of_four_centres_stored_as_jpeg_are_recovered_exactly(
    real_rows, place, download, out, check_real
):
    rows = []
    for centre in range(1, 5):
        base = download / f'{ROOT}/data_C{centre}'
        mode = 'RGB' if centre < 3 else 'L'
        for row in real_rows[f'polypgen_c{centre}']:
            image = PurePosixPath(row['source_image']).name
            mask = PurePosixPath(row['source_mask']).name
            place(row['image'], base / f'images_C{centre}' / image)
            place(
                row['mask'],
                base / f'masks_C{centre}' / mask,
                mask_as=lambda real, mode=mode: real.convert(mode),
            )
            rows.append(row)
    outcomes = pair_and_write(polypgen.SOURCE, [download], out)
    assert {outcome.state for outcome in outcomes} == {'written'}
    check_real(rows)
