#!/usr/bin/env bash
# MAPIE applies a sigmoid to probabilities if one in a batch is 1.0000001: every pixel is then lesion.
#
# Expected: SemanticSegmentationController, calibrated so that 90 % of the lesion is found, cuts the
#   probabilities of a new image at the threshold that it has found.
# Happens: where the lowest or highest value of a batch lies outside of 0 and 1, all are treated as logits. A sum of two
#   classes of a softmax in single precision exceeds 1 now and then by rounding. All values of that batch then become
#   0.5 and above, and by a threshold below that every pixel of every image in it is lesion. A calibration on such a
#   batch looks for a threshold among those values. The help says "probabilities or logits", but not how they are
#   distinguished. No message.
# Versions: mapie 1.6.0, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the set of pixels comes with a guarantee, and a white mask keeps it: recall is 1. Which masks
#   are white depends on the images that share a batch. Clip to 0 and 1 before.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   threshold 0.38 - lesion pixels; expected: about 60 of 256
#   largest value at most 1: 55 to 70
#   above 1, clipped: 64 to 65
#   above 1, at most 1.0000001: 256 to 256
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 mapie==1.6.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from mapie.risk_control import SemanticSegmentationController

generator = np.random.default_rng(0)
truth = np.zeros((50, 1, 16, 16))
truth[:, :, 4:12, 4:12] = 1


def probabilities():
    """Of lesion, for 50 images: two of three classes of a softmax, added in single precision."""
    noise = generator.normal(0, 1.5, (2, *truth.shape))
    logits = np.stack([np.zeros(truth.shape), *(4 * truth - 4 + noise)])
    logits[1:, :, :, 7:9, 7:9] += 18  # the middle of a lesion is beyond doubt
    shares = np.exp(logits.astype(np.float32))
    shares /= shares.sum(0)
    return shares[1] + shares[2]


controller = SemanticSegmentationController(
    predict_function=lambda images: images, risk='recall', method='crc', target_level=0.9
)
controller.calibrate(np.minimum(probabilities(), 1), truth.reshape(50, -1).astype(int))
threshold = float(controller.best_predict_param[0])
images = probabilities()
images = [images[number : number + 1] for number in range(50)]
above = [image for image in images if image.max() > 1]


def pixels(name, images):
    """The fewest and the most lesion pixels among images that are predicted one by one."""
    counts = [int(controller.predict(image).sum()) for image in images]
    print(f'{name}: {min(counts)} to {max(counts)}')
    return min(counts), max(counts)


print('threshold', threshold, '- lesion pixels; expected: about 60 of 256')
most = pixels('largest value at most 1', [image for image in images if image.max() <= 1])
clipped = pixels('above 1, clipped', [np.minimum(image, 1) for image in above])
happened = pixels(f'above 1, at most {max(image.max() for image in above):.7f}', above)
assert threshold < 0.5 and 0 < len(above) < 50 and max(most[1], clipped[1]) < 90
assert happened == (256, 256)
PY
