"""Each data set in its own layout and file formats, in miniature."""

import tarfile
import zipfile

import numpy as np
import pytest

from mcdrl_mmseg.datasets.converters.engine import Options, convert
from mcdrl_mmseg.datasets.converters.errors import ConversionError
from mcdrl_mmseg.datasets.converters.index import read_index
from mcdrl_mmseg.datasets.converters.sources.cvc_clinicdb import CVC_CLINICDB
from mcdrl_mmseg.datasets.converters.sources.endotect import ENDOTECT
from mcdrl_mmseg.datasets.converters.sources.etis_larib import ETIS_LARIB
from mcdrl_mmseg.datasets.converters.sources.kvasir_seg import KVASIR_SEG
from mcdrl_mmseg.datasets.converters.sources.laryngoscope8 import LARYNGOSCOPE8
from mcdrl_mmseg.datasets.converters.sources.polypgen import POLYPGEN
from mcdrl_mmseg.datasets.converters.sources.vocal_folds import VOCAL_FOLDS


@pytest.fixture
def converted(download, out):
    """Function that converts the download and returns index rows by source image."""

    def run(source, **options):
        outcomes = convert(source, [download], out, Options(**options))
        assert {outcome.state for outcome in outcomes} == {'written'}
        return {row['source_image']: row for row in read_index(out / 'index.csv')}

    return run


def column(rows, name):
    return [row[name] for row in rows.values()]


def test_kvasir_seg_with_its_jpeg_masks(make, converted, out, read_mask, box_mask):
    for name in ('cju0qkwl', 'cju0qoxq'):
        folder = 'Kvasir-SEG'
        make.pair(f'{folder}/images/{name}.jpg', f'{folder}/masks/{name}.jpg')
    (make.root / 'Kvasir-SEG/kavsir_bboxes.json').write_text('{}')
    rows = converted(KVASIR_SEG)
    assert column(rows, 'site') == ['kvasir_seg'] * 2
    assert column(rows, 'classes') == ['polyp'] * 2
    for mask in column(rows, 'mask'):
        assert np.array_equal(read_mask(out / mask), box_mask)


@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_archives_convert_as_their_folders_do(
    make, download, tmp_path, out, snapshot, kind
):
    for name in 'ab':
        make.pair(f'Kvasir-SEG/images/{name}.jpg', f'Kvasir-SEG/masks/{name}.jpg')
    archive = tmp_path / f'kvasir-seg.{kind}'
    if kind == 'zip':
        with zipfile.ZipFile(archive, 'w') as file:
            for path in sorted(download.rglob('*')):
                file.write(path, path.relative_to(download))
    else:
        with tarfile.open(archive, 'w:gz') as file:
            file.add(download / 'Kvasir-SEG', 'Kvasir-SEG')
    convert(KVASIR_SEG, [archive], out)
    by_folder = tmp_path / 'by_folder'
    convert(KVASIR_SEG, [download], by_folder)
    for name, content in snapshot(by_folder).items():
        if not name.startswith('reports'):
            assert snapshot(out)[name] == content


def test_endotect_as_segmented_images_of_hyperkvasir(make, converted):
    make.pair('segmented-images/images/0a-1.jpg', 'segmented-images/masks/0a-1.jpg')
    (make.root / 'segmented-images/bounding-boxes.json').write_text('{}')
    assert column(converted(ENDOTECT), 'image') == ['endotect_kvasir/images/0a-1.jpg']


def test_endotect_test_data_with_png_masks(make, converted):
    make.pair('test/images/0a-1.jpg', 'test/masks/0a-1.png')
    assert len(converted(ENDOTECT)) == 1


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
def test_cvc_clinicdb_with_sequences_by_frame(
    make, converted, out, read_mask, box_mask, folder, ending
):
    for frame in CVC_FRAMES:
        make.pair(
            f'{folder}Original/{frame}.{ending}',
            f'{folder}Ground Truth/{frame}.{ending}',
        )
    rows = converted(CVC_CLINICDB)
    found = {int(r['image'][-8:-4]): r['sequence'] for r in rows.values()}
    assert found == CVC_FRAMES
    first = rows[f'{folder}Original/1.{ending}']
    assert first['image'] == 'cvc_clinicdb/images/0001.png'
    assert np.array_equal(read_mask(out / first['mask']), box_mask)


def test_cvc_clinicdb_takes_png_where_tif_is_there_too(make, converted):
    for kind in ('PNG', 'TIF'):
        ending = kind.lower()
        make.pair(f'{kind}/Original/7.{ending}', f'{kind}/Ground Truth/7.{ending}')
    assert list(converted(CVC_CLINICDB)) == ['PNG/Original/7.png']


def test_cvc_clinicdb_sequences_come_from_metadata_where_it_is_there(make, converted):
    for frame in (1, 2):
        make.pair(f'PNG/Original/{frame}.png', f'PNG/Ground Truth/{frame}.png')
    (make.root / 'metadata.csv').write_text(
        'frame_id,sequence_id,png_image_path\n1,5,PNG/Original/1.png\n'
    )
    assert column(converted(CVC_CLINICDB), 'sequence') == ['05', '']


def test_cvc_clinicdb_metadata_without_sequences_is_refused(make, download, out):
    make.pair('Original/1.tif', 'Ground Truth/1.tif')
    (make.root / 'metadata.csv').write_text('frame,sequence\n1,5\n')
    with pytest.raises(ConversionError, match=r'metadata.csv: expected.*sequence_id'):
        convert(CVC_CLINICDB, [download], out)


@pytest.mark.parametrize(
    ('image', 'mask'),
    [
        ('ETIS-LaribPolypDB/ETIS-LaribPolypDB/', 'ETIS-LaribPolypDB/Ground Truth/p'),
        ('images/', 'masks/'),
    ],
)
def test_etis_with_its_masks_named_p(make, converted, image, mask):
    for frame in (2, 10, 196):
        make.pair(f'{image}{frame}.tif', f'{mask}{frame}.tif', mode='RGB')
    assert sorted(column(converted(ETIS_LARIB), 'image')) == [
        'etis_larib/images/002.png',
        'etis_larib/images/010.png',
        'etis_larib/images/196.png',
    ]


ROOT = 'PolypGen2021_MultiCenterData_v3'


@pytest.fixture
def polypgen(make):
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


def test_polypgen_has_a_site_for_each_centre(polypgen, converted):
    rows = converted(POLYPGEN)
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


def test_polypgen_sites_can_be_chosen(polypgen, converted, out):
    rows = converted(POLYPGEN, sites=('polypgen_c1', 'polypgen_c6'))
    assert column(rows, 'site') == ['polypgen_c1', 'polypgen_c6']
    assert not (out / 'polypgen_c2').exists()


def test_a_problem_of_one_centre_keeps_all_from_being_written(
    polypgen, make, download, out
):
    make.image(f'{ROOT}/data_C2/images_C2/alone.jpg')
    outcomes = convert(POLYPGEN, [download], out)
    assert {outcome.state for outcome in outcomes} == {'refused'}
    assert [path.name for path in out.iterdir() if path.is_dir()] == ['reports']


def test_vocal_folds_label_4_is_the_lesion(make, converted, out, read_mask):
    labels = np.repeat(np.arange(6, dtype=np.uint8), 8)[:, None] * np.ones(64, np.uint8)
    for place in ('patient1/seq1', 'patient2/seq8'):
        make.image(f'vocalfolds-master/img/{place}/0001.png')
        make.array(f'vocalfolds-master/annot/{place}/0001.png', labels)
    rows = converted(VOCAL_FOLDS)
    assert column(rows, 'image') == [
        'vocalfolds_larynx/images/patient1_seq1_0001.png',
        'vocalfolds_larynx/images/patient2_seq8_0001.png',
    ]
    assert column(rows, 'sequence') == ['seq1', 'seq8']
    assert column(rows, 'patient') == ['patient1', 'patient2']
    mask = read_mask(out / column(rows, 'mask')[0])
    assert np.array_equal(mask == 255, labels == 4)
    assert set(np.unique(mask)) == {0, 255}


def test_vocal_folds_labels_beyond_6_are_refused(make, download, out):
    make.pair('img/p/s/1.png', 'annot/p/s/1.png', values=(0, 7))
    (outcome,) = convert(VOCAL_FOLDS, [download], out)
    assert outcome.report['problems'][0]['kind'] == 'unexpected values'


@pytest.fixture
def larynx(make):
    make.pair('L8/polyp/1.jpg', 'L8/masks/polyp/1.png')
    make.pair('L8/cyst/1.jpg', 'L8/masks/cyst/1.png')
    make.image('L8/Normal/7.jpg')


def test_laryngoscope8_takes_the_class_from_the_folder(
    larynx, converted, out, read_mask
):
    rows = converted(LARYNGOSCOPE8)
    assert {r['image']: r['classes'] for r in rows.values()} == {
        'laryngoscope8/images/Normal_7.jpg': '',
        'laryngoscope8/images/cyst_1.jpg': 'cyst',
        'laryngoscope8/images/polyp_1.jpg': 'polyp',
    }
    assert read_mask(out / 'laryngoscope8/masks/cyst_1.png').max() == 1
    assert read_mask(out / 'laryngoscope8/masks/polyp_1.png').max() == 2
    assert not read_mask(out / 'laryngoscope8/masks/Normal_7.png').any()


def test_laryngoscope8_without_masks_says_that_none_are_published(make, download, out):
    make.image('L8/polyp/1.jpg')
    with pytest.raises(ConversionError, match='published with a diagnosis'):
        convert(LARYNGOSCOPE8, [download], out)


def test_laryngoscope8_names_images_without_mask(larynx, make, download, out):
    make.image('L8/polyp/2.jpg')
    (outcome,) = convert(LARYNGOSCOPE8, [download], out)
    problems = [(p['kind'], p['file']) for p in outcome.report['problems']]
    assert problems == [('missing mask', 'L8/polyp/2.jpg')]


def test_sources_tell_their_terms_and_what_was_checked():
    for source in (CVC_CLINICDB, ENDOTECT, ETIS_LARIB, LARYNGOSCOPE8, POLYPGEN):
        assert 'http' in source.url
        assert source.licence
        assert 'against' in source.checked
