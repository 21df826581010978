from pathlib import PurePosixPath

from mcdrl_lab.data.converters.pair_and_write import pair_and_write
from mcdrl_lab.data.converters.sources import endotect


def column(rows, name):
    return [row[name] for row in rows.values()]


def test_endotect_reads_the_segmented_images_of_hyperkvasir(make, converted):
    make.pair('segmented-images/images/0a-1.jpg', 'segmented-images/masks/0a-1.jpg')
    (make.root / 'segmented-images/bounding-boxes.json').write_text('{}')
    assert column(converted(endotect.SOURCE), 'image') == [
        'endotect_kvasir/images/0a-1.jpg'
    ]


def test_endotect_reads_test_data_with_png_masks(make, converted):
    make.pair('test/images/0a-1.jpg', 'test/masks/0a-1.png')
    assert len(converted(endotect.SOURCE)) == 1


def test_real_masks_stored_as_jpeg_are_recovered_exactly(
    real_rows, place, download, out, check_real
):
    rows = real_rows['endotect_kvasir']
    for row in rows:
        name = PurePosixPath(row['source_image']).stem
        place(row['image'], download / f'images/{name}.jpg')
        place(row['mask'], download / f'masks/{name}.jpg', mask_as=lambda mask: mask)
    pair_and_write(endotect.SOURCE, [download], out)
    check_real(rows)
