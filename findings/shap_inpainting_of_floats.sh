#!/usr/bin/env bash
# The inpainting of shap's image masker casts the whole image to 8 bits: a float image of 0 to 1 becomes black.
#
# Expected: maskers.Image("inpaint_telea") fills what is hidden from what surrounds it, and leaves what is shown as it is,
#   as blurring does.
# Happens: the image is cast to uint8 before, and back after. Of 0 to 1 all below 1 is 0; of one that is normalised to mean
#   and deviation 1.9 is 1 and -1 is 255. Whole numbers of 0 to 255 are as expected, and so is blurring. No message.
# Versions: shap 0.51.0, opencv-python-headless 5.0.0.93, NumPy 2.4.6.
# Why it matters: networks take floats. Each explained picture is black, or corrupted, except the one with nothing
#   hidden, which is not inpainted: the importance of a lesion is that of the cast.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   largest change of what is shown, by blurring, by inpainting; largest value after that
#   0 to 255: 0.0 0.0 254.0
#   0 to 1: 0.0 0.996 0.0
#   normalised: 0.0 256.984 255.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 shap==0.51.0
venv/bin/python -W ignore - 2>/dev/null <<'PY'
import numpy as np
import shap

image = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.float64)
shown = np.ones(image.shape, bool)
shown[8:16, 8:16] = False


def change(picture, method):
    masker = shap.maskers.Image(method, picture.shape)
    masked = np.asarray(masker(shown.ravel(), picture)[0]).reshape(picture.shape)
    return float(np.abs(masked - picture)[shown].max()), float(masked[shown].max())


print('largest change of what is shown, by blurring, by inpainting; largest value after that')
for name, picture in (('0 to 255', image), ('0 to 1', image / 255), ('normalised', (image / 255 - 0.5) / 0.25)):
    blurred, inpainted = change(picture, 'blur(5,5)'), change(picture, 'inpaint_telea')
    print(f'{name}:', blurred[0], round(inpainted[0], 3), inpainted[1])
    assert blurred[0] == 0
    if name == '0 to 255':
        assert inpainted[0] == 0
    elif name == '0 to 1':
        assert inpainted[0] > 0.99 and inpainted[1] == 0
    else:
        assert inpainted[0] > 200 and inpainted[1] == 255
PY
