import pytest

from mcdrl_lab.data.converters.pair_and_write import pair_and_write
from mcdrl_lab.data.converters.sources import laryngoscope8
from mcdrl_lab.errors import ConversionError


@pytest.fixture
def larynx(make):
    make.pair('L8/polyp/1.jpg', 'L8/masks/polyp/1.png')
    make.pair('L8/cyst/1.jpg', 'L8/masks/cyst/1.png')
    make.image('L8/Normal/7.jpg')


def test_laryngoscope8_takes_the_class_from_the_folder(
    larynx, converted, out, read_mask
):
    rows = converted(laryngoscope8.SOURCE)
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
        pair_and_write(laryngoscope8.SOURCE, [download], out)


def test_laryngoscope8_names_images_without_mask(larynx, make, download, out):
    make.image('L8/polyp/2.jpg')
    (outcome,) = pair_and_write(laryngoscope8.SOURCE, [download], out)
    problems = [(p['kind'], p['file']) for p in outcome.report['problems']]
    assert problems == [('missing mask', 'L8/polyp/2.jpg')]
