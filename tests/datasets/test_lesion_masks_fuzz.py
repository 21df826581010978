"""Any file and any pixels become labels or are refused with the file's name."""

import io
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from mcdrl_common.mask_format import MaskError, MaskFormat
from mcdrl_common.verification.facts import image_facts, mask_facts
from mcdrl_mmseg.datasets import LoadLesionMask

BINARY = MaskFormat({255: 'polyp'}, {0: 0, 255: 1}, binary=True)
INDEXED = MaskFormat({1: 'polyp', 2: 'cyst'}, {0: 0, 1: 1, 2: 2, 9: 255}, binary=False)
FORMATS = st.sampled_from([BINARY, INDEXED])
FUZZ = settings(max_examples=200, deadline=None, derandomize=True)
DTYPES = st.sampled_from(['uint8', 'uint16', 'int32', 'float32', 'bool'])
PIXELS = DTYPES.flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=2, max_dims=3, max_side=5))
)
MODES = st.sampled_from(['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16', 'I', 'F'])


@st.composite
def files(draw):
    """Bytes of an image of any mode and format, perhaps cut or with a byte changed."""
    side = draw(st.integers(1, 6))
    value = draw(st.integers(0, 255))
    image = Image.new('L', (side, draw(st.integers(1, 6))), value)
    image.putpixel((0, 0), draw(st.sampled_from([0, 1, 255])))
    image = image.convert(draw(MODES))
    encoded = io.BytesIO()
    name = draw(st.sampled_from(['PNG', 'TIFF', 'BMP', 'JPEG']))
    try:
        image.save(encoded, name)
    except (OSError, KeyError):
        image.convert('RGB').save(encoded, name)
    content = bytearray(encoded.getvalue())
    damage = draw(st.sampled_from(['none', 'cut', 'change', 'replace']))
    if damage == 'cut':
        del content[draw(st.integers(0, len(content))) :]
    elif damage == 'change':
        for _ in range(draw(st.integers(1, 8))):
            place = draw(st.integers(0, len(content) - 1))
            content[place] = draw(st.integers(0, 255))
    elif damage == 'replace':
        return draw(st.binary(max_size=60))
    return bytes(content)


@FUZZ
@given(PIXELS, FORMATS)
def test_any_pixels_become_labels_or_are_refused(mask, mask_format):
    try:
        labels, classes = mask_format.decode(mask, 'the/file.png')
    except MaskError as error:
        assert 'the/file.png' in str(error)
    else:
        assert labels.dtype == np.uint8 and labels.shape == mask.shape[:2]
        assert set(np.unique(labels)) <= set(mask_format.labels.values())
        assert set(classes) <= set(mask_format.lesion_classes.values())


@pytest.mark.reliability('bad input', 'fuzz: mask files of any format, cut or changed')
@FUZZ
@given(files(), FORMATS)
def test_any_file_is_loaded_as_a_mask_or_refused_by_name(content, mask_format):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'mask.png')
        path.write_bytes(content)
        results = dict(seg_map_path=str(path), mask_format=mask_format)
        try:
            results = LoadLesionMask().transform(results)
        except MaskError as error:
            assert str(path) in str(error)
        else:
            assert set(np.unique(results['gt_seg_map'])) <= {0, 1, 2, 255}


@pytest.mark.reliability('bad input', 'fuzz: image files of any format, cut or changed')
@FUZZ
@given(files())
def test_any_file_is_described_or_reported_as_unreadable(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'file.png')
        path.write_bytes(content)
        for facts in (image_facts(path), mask_facts(path)):
            assert facts.get('error') or facts['size'][0] >= 1
