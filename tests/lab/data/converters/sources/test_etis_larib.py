import pytest

from mcdrl_lab.data.converters.sources import etis_larib


def column(rows, name):
    return [row[name] for row in rows.values()]


@pytest.mark.parametrize(
    ('image', 'mask'),
    [
        ('ETIS-LaribPolypDB/ETIS-LaribPolypDB/', 'ETIS-LaribPolypDB/Ground Truth/p'),
        ('images/', 'masks/'),
    ],
)
def test_etis_larib_pairs_images_with_masks_with_or_without_a_leading_p(
    make, converted, image, mask
):
    for frame in (2, 10, 196):
        make.pair(f'{image}{frame}.tif', f'{mask}{frame}.tif', mode='RGB')
    assert sorted(column(converted(etis_larib.SOURCE), 'image')) == [
        'etis_larib/images/002.png',
        'etis_larib/images/010.png',
        'etis_larib/images/196.png',
    ]
