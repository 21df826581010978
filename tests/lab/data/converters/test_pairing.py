from pathlib import Path

from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.masks import EmptyMask
from mcdrl_lab.data.converters.pairing import ENDING, KEY, ROOT, Layout, PatternSource

LAYOUT = Layout(
    'site',
    images=rf'{ROOT}images/{KEY}{ENDING}',
    masks=rf'{ROOT}masks/{KEY}_mask{ENDING}',
)


def find(*names, layouts=(LAYOUT,)):
    source = PatternSource(
        title='t',
        url='u',
        licence='l',
        layout='w',
        checked='c',
        lesion_classes=('polyp',),
        layouts=tuple(layouts),
    )
    return source.find(FileTree({name: Path(name) for name in names}))


def pairs(site):
    return {sample.image: sample.mask.source for sample in site.samples}


def problems(site):
    return {(problem.kind, problem.file) for problem in site.problems}


def test_images_and_masks_pair_by_the_shared_part_of_their_names():
    (site,) = find('x/images/a.jpg', 'x/masks/a_mask.png', 'x/notes.txt')
    assert pairs(site) == {'x/images/a.jpg': 'x/masks/a_mask.png'}
    assert (site.images, site.masks, site.problems) == (1, 1, [])


def test_endings_and_folders_match_in_any_case_but_names_exactly():
    (site,) = find('IMAGES/a.JPG', 'Masks/a_MASK.Png', 'images/B.jpg')
    assert pairs(site) == {'IMAGES/a.JPG': 'Masks/a_MASK.Png'}
    assert problems(site) == {('missing mask', 'images/B.jpg')}


def test_equal_names_in_two_folders_pair_within_their_folder():
    (site,) = find(
        'p/images/1.jpg', 'q/images/1.jpg', 'p/masks/1_mask.png', 'q/masks/1_mask.png'
    )
    assert pairs(site) == {
        'p/images/1.jpg': 'p/masks/1_mask.png',
        'q/images/1.jpg': 'q/masks/1_mask.png',
    }


def test_missing_masks_and_images_are_all_named():
    (site,) = find('images/a.jpg', 'images/b.jpg', 'masks/c_mask.png')
    assert pairs(site) == {}
    assert problems(site) == {
        ('missing mask', 'images/a.jpg'),
        ('missing mask', 'images/b.jpg'),
        ('missing image', 'masks/c_mask.png'),
    }


def test_two_masks_of_one_image_are_reported_as_ambiguous():
    (site,) = find('images/a.jpg', 'masks/a_mask.png', 'masks/a_mask.tif')
    assert pairs(site) == {}
    assert problems(site) == {('ambiguous', 'images/a.jpg')}
    assert 'a_mask.tif' in site.problems[0].detail


def test_two_images_of_one_mask_are_reported_as_ambiguous():
    (site,) = find('images/a.jpg', 'images/a.png', 'masks/a_mask.png')
    assert problems(site) == {
        ('ambiguous', 'images/a.jpg'),
        ('ambiguous', 'images/a.png'),
    }


def test_the_first_layout_of_a_site_that_has_images_is_used():
    other = Layout('site', images=rf'tif/{KEY}{ENDING}', masks=rf'gt/{KEY}{ENDING}')
    both = ('images/a.jpg', 'masks/a_mask.png', 'tif/a.tif', 'gt/a.tif')
    (site,) = find(*both, layouts=(LAYOUT, other))
    assert pairs(site) == {'images/a.jpg': 'masks/a_mask.png'}
    (site,) = find(*both[2:], layouts=(LAYOUT, other))
    assert pairs(site) == {'tif/a.tif': 'gt/a.tif'}


def test_masks_without_any_image_are_named():
    (site,) = find('masks/a_mask.png')
    assert problems(site) == {('missing image', 'masks/a_mask.png')}


def test_images_of_a_layout_without_masks_get_empty_masks():
    layout = Layout(
        'normal',
        images=rf'neg/(?P<sequence>seq\d+)/{KEY}{ENDING}',
        masks=None,
        name='{sequence}_{key}',
        sequence='{sequence}',
    )
    (site,) = find('neg/seq3/a.jpg', layouts=(layout,))
    (sample,) = site.samples
    assert sample.mask == EmptyMask()
    assert (sample.name, sample.sequence) == ('seq3_a', 'seq3')


def test_files_of_another_data_set_give_no_site():
    assert find('data/a.jpg', 'readme.md') == []
