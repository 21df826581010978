#!/usr/bin/env bash
# skada's DeepEmbeddedValidation multiplies every loss by every weight: images like the target's count no more.
#
# Expected: the risk at the target is estimated from source images, each loss weighted by how much its image is like the
#   target's, with a correction by the covariance of weighted losses and weights (You et al. 2019). The model that is
#   good at the target is selected.
# Happens: the losses have shape (n,) and the weights (n, 1), so that their product is a table of n x n. Its mean is the
#   product of both means, whichever loss belongs to which weight, and the covariance is that of its first two columns.
#   A model with a risk of 0.12 at the target scores 0.55, one with a risk of 0.68 scores 0.38 and is selected. With a
#   loss_func that returns a column the scores are as expected, 0.14 and 0.67; the help says only that the loss need not
#   be reduced. No message.
# Versions: skada 0.6.0, scikit-learn 1.9.1, POT 0.9.7.post1, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: without labels of the new hospital, this score chooses the model, or the strength of adaptation. It
#   chooses as if there were no new hospital.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   good in bright images: risk at the target 0.12 - expected 0.14 - happened 0.55 - with a column 0.14
#   good in dark images: risk at the target 0.68 - expected 0.67 - happened 0.38 - with a column 0.67
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 POT==0.9.7.post1 skada==0.6.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
from skada import make_da_pipeline
from skada.metrics import DeepEmbeddedValidation
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer


class Model(ClassifierMixin, BaseEstimator):
    """Gives the true class the probability ``dark`` in dark images and ``bright`` in bright ones."""

    def __init__(self, dark=0.5, bright=0.5):
        self.dark = dark
        self.bright = bright

    def fit(self, rows, labels):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, rows):
        of_truth = np.where(rows[:, 0] < 0.5, self.dark, self.bright)
        lesion = np.where(rows[:, 1] > 0.5, of_truth, 1 - of_truth)
        return np.stack([1 - lesion, lesion], axis=1)


generator = np.random.default_rng(0)
# Columns: brightness and true class. The source has images of any brightness, the target bright ones.
source = np.stack([generator.uniform(0, 1, 600), generator.integers(0, 2, 600)], axis=1)
target = np.stack([generator.beta(6, 1, 600), generator.integers(0, 2, 600)], axis=1)
rows, truth = np.concatenate([source, target]), np.concatenate([source[:, 1].astype(int), np.full(600, -1)])
domain = np.repeat([1, -2], 600)


def losses(probabilities, labels):
    return -np.log(probabilities[np.arange(len(labels)), labels])


def risk_at_target(model):
    return losses(model.predict_proba(target), target[:, 1].astype(int)).mean()


def risk_by_hand(model):
    """Equations of You et al., on the same split and with the same domain classifier."""
    fitted, held_out = train_test_split(source, test_size=0.33, random_state=np.random.RandomState(0))
    classifier = LogisticRegression().fit(np.concatenate([fitted, target]), np.repeat([1, 0], [len(fitted), 600]))
    of_target, of_source = classifier.predict_proba(held_out).T
    weights = len(fitted) / 600 * of_target / of_source
    weighted = weights * losses(model.predict_proba(held_out), held_out[:, 1].astype(int))
    eta = -np.cov(weighted, weights)[0, 1] / np.var(weights, ddof=1)
    return weighted.mean() + eta * weights.mean() - eta


def risk_by_skada(model, loss_func=None):
    pipeline = make_da_pipeline(FunctionTransformer(), model).fit(rows, truth, sample_domain=domain)
    scorer = DeepEmbeddedValidation(loss_func=loss_func, random_state=0)
    return -float(scorer(pipeline, rows, truth, sample_domain=domain))


risks = {}
for name, model in {'good in bright images': Model(0.3, 0.9), 'good in dark images': Model(0.99, 0.5)}.items():
    model.fit(None, None)
    column = risk_by_skada(model, lambda labels, probabilities: losses(probabilities, labels)[:, None])
    risks[name] = risk_at_target(model), risk_by_hand(model), risk_by_skada(model), column
    print(f'{name}: risk at the target %.2f - expected %.2f - happened %.2f - with a column %.2f' % risks[name])
bright, dark = risks.values()
assert bright[0] < dark[0] and bright[1] < dark[1], 'the estimate by hand selects the right model'
assert bright[2] > dark[2] + 0.1, 'the scorer selects the other one'
assert np.allclose([bright[1], dark[1]], [bright[3], dark[3]])
PY
