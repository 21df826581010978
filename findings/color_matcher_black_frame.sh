#!/usr/bin/env bash
# In color-matcher's Reinhard transfer, one black pixel turns the whole image into NaN.
#
# Expected: transfer(src, ref, method='reinhard') of 8-bit images gives the source the mean colour of the reference, as
#   the other methods do. Black pixels are handled: the source code is meant to replace them by a small number.
# Happens: in 8 bits that number is 0, and its logarithm is minus infinity. If one pixel of the source or of the
#   reference is 0 in all colours, every value of the result is NaN, and as an 8-bit image it is black. NumPy warns of a
#   division by zero. For floats the number is 1/255. It is written into the source in place, and with a black-framed
#   reference the mucosa becomes hundreds of times as bright as white. Without black pixels the result is correct, and
#   so is that of method='mkl' with one.
# Versions: color-matcher 0.6.0, imageio 2.38.1, Pillow 13.0.0, NumPy 2.4.6.
# Why it matters: endoscopic images have a black frame. Colours are matched between hospitals by this method, as an
#   augmentation or before a model.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   mean colour of the reference: 190.0 110.0 99.0
#   no black pixel: reinhard 190.0 109.0 100.0 (0% NaN) - mkl 190.0 109.0 99.0
#   one in the source: reinhard nan nan nan (100% NaN) - mkl 190.0 109.0 100.0
#   one in the reference: reinhard nan nan nan (100% NaN) - mkl 190.0 109.0 99.0
#   a frame in the reference, floats: reinhard 89545.0 82088.0 60583.0 (0% NaN) - mkl 145.0 83.0 76.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 imageio==2.38.1
venv/bin/pip install --quiet --disable-pip-version-check --no-deps color-matcher==0.6.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from color_matcher import ColorMatcher

random = np.random.default_rng(0)


def mucosa(colour):
    return np.clip(random.normal(colour, [20, 10, 8], (60, 60, 3)), 1, 255).astype(np.uint8)


def one_black_pixel(image):
    image = image.copy()
    image[0, 0] = 0
    return image


def black_frame(image):
    image = image.copy()
    image[:15] = 0
    return image


def mean_colour(source, reference, method):
    """Of what is mucosa, and the share of values that are NaN."""
    result = ColorMatcher().transfer(src=source.copy(), ref=reference.copy(), method=method)
    return result[15:].reshape(-1, 3).mean(0).round().tolist(), float(np.isnan(result).mean())


source, reference = mucosa([150, 70, 60]), mucosa([190, 110, 100])
print('mean colour of the reference:', *reference.reshape(-1, 3).mean(0).round())
PAIRS = {
    'no black pixel': (source, reference),
    'one in the source': (one_black_pixel(source), reference),
    'one in the reference': (source, one_black_pixel(reference)),
    'a frame in the reference, floats': (source.astype(float), black_frame(reference).astype(float)),
}
results = {}
for name, pair in PAIRS.items():
    found, other = results[name] = mean_colour(*pair, 'reinhard'), mean_colour(*pair, 'mkl')
    print(f'{name}: reinhard', *found[0], f'({found[1]:.0%} NaN)', '- mkl', *other[0])
    assert other[1] == 0 and max(other[0]) < 256
assert np.allclose(results['no black pixel'][0][0], [190, 110, 100], atol=2)
for name in ('one in the source', 'one in the reference'):
    assert results[name][0][1] == 1
    assert np.allclose(results[name][1][0], [190, 110, 100], atol=2)
assert min(results['a frame in the reference, floats'][0][0]) > 1000
floats = one_black_pixel(source).astype(float)
ColorMatcher().transfer(src=floats, ref=reference.astype(float), method='reinhard')
assert floats[0, 0].tolist() == [1 / 255] * 3
PY
