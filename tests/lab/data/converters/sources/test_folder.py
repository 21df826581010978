import numpy as np
import pytest
from PIL import Image

from mcdrl_lab.commands import main
from mcdrl_lab.data.converters.pair_and_write import pair_and_write
from mcdrl_lab.data.converters.path_rules import PathRule
from mcdrl_lab.data.converters.sources.folder import FolderOptions, folder_source
from mcdrl_lab.data.site_index import read_index
from mcdrl_lab.errors import ConversionError


def rows(options, download, out):
    (outcome,) = pair_and_write(folder_source(options), [download], out)
    assert outcome.state == 'written', outcome.report['problems']
    return read_index(out / 'index.csv')


def test_subfolders_are_paired_with_subfolders_of_the_same_name(make, download, out):
    make.pair('top/images/p1/a.jpg', 'top/masks/p1/a.png')
    make.pair('top/images/p2/a.jpg', 'top/masks/p2/a.png')
    found = rows(FolderOptions('s'), download, out)
    assert {r['source_image']: r['source_mask'] for r in found} == {
        'top/images/p1/a.jpg': 'top/masks/p1/a.png',
        'top/images/p2/a.jpg': 'top/masks/p2/a.png',
    }


@pytest.mark.parametrize(
    ('images', 'masks'), [('.', '.'), ('data', 'data'), ('a/b', 'a/b/gt')]
)
def test_masks_may_lie_beside_or_below_their_images(make, download, out, images, masks):
    make.pair(f'{images}/x.jpg', f'{masks}/x_seg.png')
    options = FolderOptions('s', images=images, masks=masks, mask_suffix='_seg')
    assert len(rows(options, download, out)) == 1


def test_images_and_masks_in_one_folder_need_a_suffix():
    with pytest.raises(ConversionError, match='--mask-suffix'):
        folder_source(FolderOptions('s', images='data/', masks='data'))


def test_folder_names_are_not_patterns(make, download, out):
    make.pair('img (1)/a.jpg', 'gt+/a.png')
    options = FolderOptions('s', images='img (1)', masks='gt+')
    assert len(rows(options, download, out)) == 1


def test_sequence_and_patient_come_from_the_paths(make, download, out):
    make.pair('images/p7/v2_003.jpg', 'masks/p7/v2_003.png')
    options = FolderOptions(
        's',
        sequence=PathRule('sequence', r'/(v\d+)_'),
        patient=PathRule('patient', r'p\d+'),
    )
    (row,) = rows(options, download, out)
    assert (row['sequence'], row['patient']) == ('v2', 'p7')


def test_an_index_in_the_input_gives_patients_or_stops_the_conversion(
    make, download, out
):
    for name in ('000', '001'):
        make.pair(f'images/{name}.png', f'masks/{name}.png')
    index = download / 'index.csv'
    index.write_text('site;image;patient\ns;000;p1\ns;001;p2\n')
    found = rows(FolderOptions('s'), download, out)
    assert [row['patient'] for row in found] == ['p1', 'p2']
    index.write_text('site;image;patient\ns;0;p1\ns;1;p2\n')
    source = folder_source(FolderOptions('s'))
    (outcome,) = pair_and_write(source, [download], out)
    assert outcome.state == 'refused'
    kinds = {problem['kind'] for problem in outcome.report['problems']}
    assert kinds == {'image without index row'}
    assert 'leading zeros' in str(outcome.report['notes'])


def test_values_of_one_class_become_0_and_255(make, download, out, read_mask):
    make.pair('images/a.jpg', 'masks/a.png', values=(0, 3))
    rows(FolderOptions('s', mask_values={3: 'polyp'}), download, out)
    assert np.unique(read_mask(out / 's/masks/a.png')).tolist() == [0, 255]
    assert not (out / 's/classes.json').exists()


def test_two_values_may_stand_for_one_class(make, download, out):
    make.pair('images/a.jpg', 'masks/a.png', values=(5, 3))
    options = FolderOptions('s', mask_values={3: 'polyp', 5: 'polyp'})
    (row,) = rows(options, download, out)
    assert float(row['foreground']) == 1


def test_mask_values_without_a_lesion_class_are_refused():
    with pytest.raises(ConversionError, match='--mask-values'):
        folder_source(FolderOptions('s', mask_values={1: 'background', 2: 'ignore'}))


@pytest.mark.parametrize(
    'values', [{0: 'normal', 1: 'polyp'}, {(0, 0, 0): 'bg', (255, 0, 0): 'polyp'}]
)
def test_a_background_under_another_name_is_refused(values):
    with pytest.raises(ConversionError, match="call it 'background'"):
        folder_source(FolderOptions('s', mask_values=values))


def test_gif_masks_are_read_and_gif_images_are_refused(make, download, out):
    make.pair('images/a.jpg', 'masks/a.gif')
    assert rows(FolderOptions('s'), download, out)[0]['classes'] == 'lesion'
    make.pair('images/b.gif', 'masks/b.gif')
    (outcome,) = pair_and_write(folder_source(FolderOptions('s')), [download], out)
    problems = [(p['kind'], p['file']) for p in outcome.report['problems']]
    assert problems == [('unsupported image', 'images/b.gif')]


def test_classes_of_colours_have_the_given_order(make, download, out, read_mask):
    mask = np.zeros((24, 32, 3), np.uint8)
    mask[:4], mask[4:8] = [0, 0, 255], [255, 0, 0]
    make.pair('images/a.png', 'masks/a.png')
    Image.fromarray(mask).resize(
        Image.open(download / 'masks/a.png').size, Image.Resampling.NEAREST
    ).save(download / 'masks/a.png')
    values = {(255, 0, 0): 'polyp', (0, 0, 255): 'ulcer'}
    rows(FolderOptions('s', mask_values=values), download, out)
    assert np.unique(read_mask(out / 's/masks/a.png')).tolist() == [0, 1, 2]
    assert read_mask(out / 's/masks/a.png')[0, 0] == 2


def test_values_and_colours_cannot_be_mixed():
    values = {1: 'polyp', (0, 0, 255): 'ulcer'}
    with pytest.raises(ConversionError, match='give one of the two'):
        folder_source(FolderOptions('s', mask_values=values))


@pytest.mark.parametrize('wrong', ['', '_seg'])
def test_a_wrong_suffix_is_a_one_line_error_with_the_existing_suffixes(
    make, download, out, wrong
):
    for number in range(60):
        make.image(f'images/{number}.jpg', size=(8, 8))
        end = '_mask' if number else '_mask2'
        make.mask(f'masks/{number}{end}.png', size=(8, 8), box=None)
    source = folder_source(FolderOptions('s', mask_suffix=wrong))
    with pytest.raises(ConversionError) as error:
        pair_and_write(source, [download], out)
    assert str(error.value) == (
        f'--mask-suffix {wrong!r}: no image has such a mask. Suffixes found in '
        "'masks': '_mask' (59 files), '_mask2' (1 files)."
    )
    assert not out.exists()


def test_a_missing_mask_folder_is_an_error_that_names_it(make, download, out):
    for number in range(3):
        make.pair(f'images/{number}.jpg', f'masks/{number}.png')
    source = folder_source(FolderOptions('s', masks='annotations'))
    with pytest.raises(ConversionError, match="--masks 'annotations': no image lies"):
        pair_and_write(source, [download], out)
    assert not out.exists()


@pytest.mark.parametrize('both', [False, True])
def test_further_masks_of_an_image_are_reported_by_a_warning(
    make, download, out, capsys, both
):
    for number in (1, 10):
        make.pair(f'images/{number}.jpg', f'masks/{number}_left.png')
        if both:
            make.mask(f'masks/{number}_right.png')
    # A mask without an image.
    make.mask('masks/legend.png')
    arguments = ['convert', 'folder', str(download), '--site', 's']
    arguments += ['--mask-suffix', '_left', '--class', 'lung', '--out', str(out)]
    assert main(arguments) == 0
    told = capsys.readouterr().err
    warning = "_right.png: 2 masks end in '_right', besides those in '_left', and"
    assert (warning in told) == both
    assert told.count('warning') == both


def test_a_suffix_is_refused_if_the_masks_have_none(make, download, out):
    make.pair('images/a.jpg', 'masks/a.png')
    source = folder_source(FolderOptions('s', mask_suffix='_mask'))
    with pytest.raises(ConversionError, match=r"Suffixes found .*: '' \(1 files\)"):
        pair_and_write(source, [download], out)


def test_lesion_free_images_get_empty_masks_and_others_keep_theirs(
    make, download, out, read_mask
):
    make.pair('images/a.jpg', 'masks/a.png')
    make.image('healthy/p1/a.jpg', size=(30, 40))
    found = rows(FolderOptions('s', lesion_free='healthy'), download, out)
    by_source = {row['source_image']: row for row in found}
    assert by_source.keys() == {'images/a.jpg', 'healthy/p1/a.jpg'}
    free = by_source['healthy/p1/a.jpg']
    assert (free['source_mask'], float(free['foreground'])) == ('', 0)
    assert float(by_source['images/a.jpg']['foreground']) > 0
    mask = read_mask(out / free['mask'])
    assert (mask.shape, mask.any()) == ((30, 40), False)


def test_all_images_may_be_lesion_free(make, download, out):
    make.image('images/a.jpg')
    (row,) = rows(FolderOptions('s', lesion_free='images'), download, out)
    assert (row['source_image'], float(row['foreground'])) == ('images/a.jpg', 0)


def test_a_mask_of_an_image_declared_lesion_free_stops_the_conversion(
    make, download, out
):
    make.pair('images/a.jpg', 'masks/a.png')
    source = folder_source(FolderOptions('s', lesion_free='images'))
    (outcome,) = pair_and_write(source, [download], out)
    assert outcome.state == 'refused'
    assert [p['file'] for p in outcome.report['problems']] == ['masks/a.png']


@pytest.mark.parametrize(
    ('folder', 'message'),
    [('helthy', "'helthy': no image"), ('masks', 'are both')],
)
def test_a_lesion_free_folder_that_is_missing_or_that_of_masks_is_an_error(
    make, download, out, folder, message
):
    make.pair('images/a.jpg', 'masks/a.png')
    with pytest.raises(ConversionError, match=message):
        rows(FolderOptions('s', lesion_free=folder), download, out)
    assert not (out / 's').exists()
