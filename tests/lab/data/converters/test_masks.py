import numpy as np
import pytest
from PIL import Image

from mcdrl_common.findings import FileProblem
from mcdrl_common.mask_format import IGNORED
from mcdrl_lab.data.converters.decodings import (
    BinaryDecoding,
    ColourMapDecoding,
    LabelMapDecoding,
)
from mcdrl_lab.data.converters.input_files import FileTree
from mcdrl_lab.data.converters.masks import EmptyMask, FileMask, RegionMask
from mcdrl_lab.data.converters.regions import Region


def decode(path, decoding):
    with Image.open(path) as image:
        return decoding.decode(image)


def kinds(decoded):
    return [kind for kind, _ in decoded.notes]


@pytest.mark.parametrize('name', ['m.png', 'm.tif', 'm.bmp', 'm.jpg'])
@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_masks_are_thresholded_in_every_format(make, box_mask, name, mode):
    decoded = decode(make.mask(name, mode=mode), BinaryDecoding())
    assert np.array_equal(decoded.labels, box_mask // 255)
    assert kinds(decoded) == (['RGB mask'] if mode == 'RGB' else [])


def test_bilevel_and_palette_masks_are_read(make, box_mask):
    for name, mode in (('a.png', '1'), ('b.png', 'P'), ('c.tif', '1')):
        decoded = decode(make.mask(name, mode=mode), BinaryDecoding())
        assert np.array_equal(decoded.labels, box_mask // 255)


def test_values_above_127_become_the_label(make):
    values = np.array([[0, 126, 127, 128, 254, 255]], np.uint8)
    decoded = decode(make.array('m.png', values), BinaryDecoding(label=3))
    assert decoded.labels.tolist() == [[0, 0, 0, 3, 3, 3]]
    assert decoded.notes == (
        (
            'soft edges',
            '66.667% of the pixels lie between 0 and 255; thresholded at > 127',
        ),
    )


def test_jpeg_ripple_in_an_empty_mask_does_not_become_a_lesion(make):
    values = np.zeros((48, 64), np.uint8)
    values[8:12, 8:12] = 20
    decoded = decode(make.array('m.jpg', values), BinaryDecoding())
    assert not decoded.labels.any()
    ((kind, detail),) = decoded.notes
    assert kind == 'faint mask'
    assert 'read as no lesion' in detail


def test_a_black_jpeg_mask_is_empty_without_a_note(make):
    decoded = decode(make.mask('m.jpg', values=(0, 0)), BinaryDecoding())
    assert not decoded.labels.any()
    assert not decoded.notes


@pytest.mark.parametrize('values', [(0, 1), (0, 100)])
def test_a_mask_with_only_small_values_is_refused_and_not_read_as_empty(make, values):
    with pytest.raises(FileProblem) as error:
        decode(make.mask('m.png', values=values), BinaryDecoding())
    assert error.value.kind == 'unexpected values'
    assert str(values[1]) in error.value.detail


def test_a_jpeg_mask_with_intermediate_values_is_refused(make):
    with pytest.raises(FileProblem, match='unexpected values'):
        decode(make.mask('m.jpg', values=(0, 100)), BinaryDecoding())


def test_coloured_masks_are_refused(make):
    values = np.zeros((48, 64, 3), np.uint8)
    values[10:20, 10:20, 0] = 255
    with pytest.raises(FileProblem) as error:
        decode(make.array('m.png', values), BinaryDecoding())
    assert error.value.kind == 'colour mask'


def test_transparent_masks_are_refused_and_opaque_ones_read(make):
    values = np.zeros((4, 4, 4), np.uint8)
    values[..., 3] = 255
    values[0, 0, :3] = 255
    assert decode(make.array('m.png', values), BinaryDecoding()).labels.sum() == 1
    values[1, 1, 3] = 0
    with pytest.raises(FileProblem, match='transparent'):
        decode(make.array('n.png', values), BinaryDecoding())


def test_sixteen_bit_masks_are_refused(make):
    values = np.full((4, 4), 65535, np.uint16)
    for decoding in (BinaryDecoding(), LabelMapDecoding({0: 0})):
        with pytest.raises(FileProblem, match='8 bit'):
            decode(make.array('m.png', values), decoding)


def test_label_values_are_mapped_to_their_classes(make):
    values = np.array([[0, 1, 4], [4, 9, 1]], np.uint8)
    decoding = LabelMapDecoding({0: 0, 1: 0, 4: 1, 9: 255})
    decoded = decode(make.array('m.png', values), decoding)
    assert decoded.labels.tolist() == [[0, 0, 1], [1, 255, 0]]


def test_indices_of_a_palette_mask_count_not_its_colours(make, download):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(download / 'm.png')
    decoded = decode(download / 'm.png', LabelMapDecoding({0: 0, 1: 1}))
    assert decoded.labels.tolist() == [[0, 1], [1, 0]]


def test_unnamed_label_values_are_refused_and_listed(make):
    values = np.array([[0, 1, 7, 200]], np.uint8)
    with pytest.raises(FileProblem, match=r'\[7, 200\]; expected \[0, 1\]'):
        decode(make.array('m.png', values), LabelMapDecoding({0: 0, 1: 1}))


def test_label_maps_as_jpeg_are_refused(make):
    with pytest.raises(FileProblem, match='JPEG'):
        decode(make.mask('m.jpg', values=(0, 4)), LabelMapDecoding({0: 0, 4: 1}))


def test_gif_masks_are_read_by_colour_as_their_indices_are_renumbered(download):
    image = Image.fromarray(np.array([[0, 0, 2, 2]], np.uint8)).convert('P')
    image.putpalette([0, 0, 0, 0, 255, 0, 255, 0, 0])
    image.save(download / 'm.gif')
    with Image.open(download / 'm.gif') as read:
        assert np.asarray(read).tolist() == [[0, 0, 1, 1]]
    with pytest.raises(FileProblem, match='R,G,B=CLASS'):
        decode(download / 'm.gif', LabelMapDecoding({0: 0, 1: 1, 2: 2}))
    colours = ColourMapDecoding({(0, 0, 0): 0, (0, 255, 0): 1, (255, 0, 0): 2})
    assert decode(download / 'm.gif', colours).labels.tolist() == [[0, 0, 2, 2]]


def test_coloured_label_maps_are_refused_and_grey_ones_read(make):
    grey = np.full((4, 4, 3), 1, np.uint8)
    decoding = LabelMapDecoding({1: 1})
    assert decode(make.array('g.png', grey), decoding).labels.all()
    grey[0, 0, 1] = 2
    with pytest.raises(FileProblem, match='colour mask'):
        decode(make.array('c.png', grey), decoding)


def test_masks_of_another_size_are_refused_with_both_sizes(make):
    tree = FileTree({'m.png': make.mask('m.png', size=(40, 64))})
    with pytest.raises(FileProblem) as error:
        FileMask('m.png').decode(tree, (48, 64))
    assert error.value.kind == 'size mismatch'
    assert '40 x 64' in error.value.detail
    assert '48 x 64' in error.value.detail


def test_truncated_masks_are_refused_even_without_their_image(make):
    path = make.mask('m.png')
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileProblem, match='unreadable mask'):
        FileMask('m.png').decode(FileTree({'m.png': path}), None)


def test_empty_masks_have_the_size_of_their_image():
    labels = EmptyMask().decode(FileTree({}), (3, 5)).labels
    assert labels.shape == (3, 5)
    assert not labels.any()


def test_outlines_of_another_size_are_refused():
    mask = RegionMask('a.json', (Region(1, [[0, 0, 2, 0, 2, 2]]),), size=(10, 10))
    with pytest.raises(FileProblem, match='annotated size is 10 x 10'):
        mask.decode(FileTree({}), (10, 12))
    assert mask.decode(FileTree({}), (10, 10)).labels.any()


def test_areas_of_a_third_value_in_a_lossless_mask_are_refused(tmp_path):
    values = np.zeros((30, 30), np.uint8)
    values[5:25, 5:25] = 255
    values[8:22, 8:22] = 1
    Image.fromarray(values).save(tmp_path / 'm.png')
    with pytest.raises(FileProblem, match=r'values \[0, 1, 255\].*--mask-v'):
        FileMask('m.png').decode(FileTree({'m.png': tmp_path / 'm.png'}), None)


def test_a_jpeg_mask_with_an_area_of_a_third_value_is_refused(make):
    values = np.zeros((48, 64), np.uint8)
    values[8:24, 8:24], values[8:24, 32:48] = 128, 255
    path = make.array('m.jpg', values)
    with pytest.raises(FileProblem, match='unexpected values'):
        decode(path, BinaryDecoding())


@pytest.fixture
def coloured(tmp_path):
    """Function from rows of colours to the labels of a FileMask with three colours."""
    labels = {(0, 0, 0): 0, (255, 0, 0): 1, (0, 0, 128): IGNORED}

    def decode(rows, mode='RGB', name='m.png'):
        image = Image.fromarray(np.array(rows, np.uint8))
        # A palette of its own: the web palette lacks this blue.
        (image.quantize() if mode == 'P' else image.convert(mode)).save(tmp_path / name)
        mask = FileMask(name, ColourMapDecoding(labels))
        return mask.decode(FileTree({name: tmp_path / name}), None).labels.tolist()

    return decode


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_colours_stand_for_classes(coloured, mode):
    rows = [[[255, 0, 0], [0, 0, 0]], [[0, 0, 128], [255, 0, 0]]]
    assert coloured(rows, mode) == [[1, 0], [IGNORED, 1]]


@pytest.mark.reliability('bad input', 'a colour mask: other colours, or by JPEG')
def test_unnamed_colours_are_reported_in_the_form_that_the_option_takes(coloured):
    with pytest.raises(
        FileProblem, match='1 unnamed colours, such as 254,0,0; expected 0,0,0 255,0,0'
    ):
        coloured([[[254, 0, 0], [255, 0, 0]]])
    with pytest.raises(FileProblem, match='JPEG changes the colours'):
        coloured([[[255, 0, 0]]], name='m.jpg')


@pytest.mark.reliability('bad input', 'a palette or colour mask read as 0 and 255')
@pytest.mark.parametrize(
    ('mode', 'advice'),
    [
        ('P', 'palette indices .* --mask-values VALUE=CLASS; if colours'),
        ('RGB', 'use the source folder with --mask-values R,G,B=CLASS'),
    ],
)
def test_a_colour_mask_is_refused_with_the_option_that_reads_it(tmp_path, mode, advice):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0] = [255, 0, 0]
    Image.fromarray(pixels).convert(mode).save(tmp_path / 'm.png')
    with pytest.raises(FileProblem, match=advice):
        FileMask('m.png').decode(FileTree({'m.png': tmp_path / 'm.png'}), None)
