import numpy as np
from PIL import Image

from mcdrl_lab.data.converters.pair_and_write import pair_and_write
from mcdrl_lab.data.converters.sources import vocal_folds
from mcdrl_lab.data.site_index import read_index


def column(rows, name):
    return [row[name] for row in rows.values()]


def test_vocal_folds_label_4_is_the_lesion(make, converted, out, read_mask):
    labels = np.repeat(np.arange(6, dtype=np.uint8), 8)[:, None] * np.ones(64, np.uint8)
    for place in ('patient1/seq1', 'patient2/seq8'):
        make.image(f'vocalfolds-master/img/{place}/0001.png')
        make.array(f'vocalfolds-master/annot/{place}/0001.png', labels)
    rows = converted(vocal_folds.SOURCE)
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
    (outcome,) = pair_and_write(vocal_folds.SOURCE, [download], out)
    assert outcome.report['problems'][0]['kind'] == 'unexpected values'


def test_real_masks_stored_as_label_maps_are_recovered_exactly(
    real_rows, place, data_root, download, out, check_real
):
    rows = real_rows['vocalfolds_larynx']
    for row in rows:
        image = download / row['source_image']
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.open(data_root / row['image']).save(image)
        place(
            row['mask'],
            download / row['source_mask'],
            mask_as=lambda mask: mask.point(lambda value: 4 if value > 127 else 2),
        )
    pair_and_write(vocal_folds.SOURCE, [download], out)
    check_real(rows)
    assert {row['patient'] for row in read_index(out / 'index.csv')} == {'patient1'}
