#!/usr/bin/env bash
# In a torchmetrics MetricCollection, two thresholds share one score if the first image is healthy.
#
# Expected: MetricCollection gives each metric the score that it has alone.
# Happens: metrics whose counts are equal after the first batch are treated as one and share their counts from then on.
#   On an image without a lesion, and no pixel above 0.5, thresholds of 0.5 and 0.9 both count true negatives only: F1
#   at 0.9 is then reported as 1.0, that at 0.5; alone it is 0.457. With the healthy image last, or
#   compute_groups=False, it is right. The documentation says that metrics of one compute group share a state, not that
#   the first batch decides.
# Versions: torchmetrics 1.9.0, torch 2.13.0.
# Why it matters: thresholds, or ignore labels, of one metric are just what a collection is used for,
#   and validation has one image at a time, in a fixed order. Set compute_groups=False.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected, each alone: {'at 50 %': 1.0, 'at 90 %': 0.457}
#   happened: {'at 50 %': 1.0, 'at 90 %': 1.0}
#   healthy image last: {'at 50 %': 1.0, 'at 90 %': 0.457}
#   compute_groups=False: {'at 50 %': 1.0, 'at 90 %': 0.457}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 torchmetrics==1.9.0
venv/bin/python -W ignore - <<'PY'
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryF1Score


def images():
    """An image without a lesion, and three with one of 36 pixels and probabilities of 0.6 to 1."""
    generator = torch.Generator().manual_seed(0)
    for lesions in (0, 1, 1, 1):
        truth = torch.zeros(16, 16, dtype=torch.long)
        truth[4:10, 4:10] = lesions
        yield 0.4 * torch.rand(16, 16, generator=generator) + 0.6 * truth, truth


HEALTHY_FIRST = list(images())


def scores(order, **options):
    metrics = {f'at {t} %': BinaryF1Score(threshold=t / 100) for t in (50, 90)}
    together = MetricCollection(metrics, **options)
    for image in order:
        together.update(*image)
    return {name: round(float(score), 3) for name, score in together.compute().items()}


alone = BinaryF1Score(threshold=0.9)
for image in HEALTHY_FIRST:
    alone.update(*image)
expected = {'at 50 %': 1.0, 'at 90 %': round(float(alone.compute()), 3)}
print('expected, each alone:', expected)
print('happened:', scores(HEALTHY_FIRST))
print('healthy image last:', scores(HEALTHY_FIRST[::-1]))
print('compute_groups=False:', scores(HEALTHY_FIRST, compute_groups=False))
assert expected['at 90 %'] < 0.6
assert scores(HEALTHY_FIRST) == {'at 50 %': 1.0, 'at 90 %': 1.0}
assert scores(HEALTHY_FIRST[::-1]) == scores(HEALTHY_FIRST, compute_groups=False) == expected
PY
