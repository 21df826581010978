#!/usr/bin/env bash
# TorchDrift's AUC of a perfect detector drops to 0.51 if one of its scores is large.
#
# Expected: the area under the ROC curve depends on the order of the scores alone. Where every drifted sample has a
#   higher score than every other one, it is 1.
# Happens: DriftDetectionExperiment takes thresholds at even steps from the largest score to the smallest, as many
#   as there are scores. With one score of 1000 among scores of 0 to 2.5 all of these lie within a single step, and the
#   curve is a straight line. Of the same scores with 2 for 1000, and of their ranks, it is 1.0; scikit-learn has
#   1.0 for all three. No message.
# Versions: torchdrift 0.1.0.post1, torch 2.13.0, scikit-learn 1.9.1, NumPy 2.4.6.
# Why it matters: scores such as MMD and distances of features have long tails, and a frame that is black or overexposed
#   is enough. Detectors are chosen by this number; the one whose scores are cut off wins.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   every drifted sample above every other; expected: 1.0
#   scores of 0 to 2.5: 1.0, scikit-learn 1.0
#   one of them 1000: 0.51, scikit-learn 1.0
#   the ranks of these: 1.0, scikit-learn 1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 tqdm torch==2.13.0
venv/bin/pip install --quiet --disable-pip-version-check --no-deps torchdrift==0.1.0.post1
venv/bin/python -W ignore - <<'PY'
import torch
from sklearn.metrics import roc_auc_score
from torchdrift.utils import DriftDetectionExperiment

torch.manual_seed(0)
RUNS = 50


class Batches:
    """What the experiment asks of a data module: a loader of one sample a batch."""

    def __init__(self, samples):
        self.samples = samples

    def default_dataloader(self, batch_size, num_samples):
        return [(self.samples[start : start + batch_size],) for start in range(0, num_samples, batch_size)]


class Mean(torch.nn.Module):
    def forward(self, features):
        return features.mean()


class Same(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))  # the experiment asks for its device

    def forward(self, samples):
        return samples


def areas(usual, drifted):
    experiment = DriftDetectionExperiment(Mean(), Same(), ood_ratio=1.0, sample_size=1)
    area, _ = experiment.evaluate(Batches(usual), Batches(drifted), num_runs=RUNS)
    truth = [0] * RUNS + [1] * RUNS
    return round(float(area), 2), round(float(roc_auc_score(truth, torch.cat([usual, drifted]).flatten())), 2)


usual, drifted = torch.rand(RUNS, 1), 1.5 + torch.rand(RUNS, 1)
drifted[0] = 2.0
with_tail = drifted.clone()
with_tail[0] = 1000.0
ranks = torch.cat([usual, with_tail]).flatten().argsort().argsort().float()[:, None]
results = {
    'scores of 0 to 2.5': areas(usual, drifted),
    'one of them 1000': areas(usual, with_tail),
    'the ranks of these': areas(ranks[:RUNS], ranks[RUNS:]),
}
print('every drifted sample above every other; expected: 1.0')
for name, (area, exact) in results.items():
    print(f'{name}: {area}, scikit-learn {exact}')
assert all(exact == 1 for _, exact in results.values())
assert results['scores of 0 to 2.5'][0] > 0.99 and results['the ranks of these'][0] > 0.98
assert results['one of them 1000'][0] < 0.55
PY
