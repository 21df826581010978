#!/usr/bin/env bash
# Computed with NumPy's dot product, the Dice of a perfect mask is 0.
#
# Expected: np.dot(a, b) of two 0/1 masks counts the pixels that both hold, as (a * b).sum() does:
#   sum() of uint8 counts in 64 bits.
# Happens: products of uint8 are summed in uint8: the count is taken modulo 256. A perfect lesion of
#   16 x 16 or 32 x 32 pixels has Dice 0, one of 20 x 20 has 0.36, one of 10 x 10 has 1. The same
#   goes for @, vdot, inner, einsum and tensordot. Of boolean masks the product is True. No
#   warning; the pages of these functions do not mention the type.
# Versions: NumPy 2.4.6.
# Why it matters: many formulas of Dice are written with a dot product. Tests with small lesions pass.
#   Count with np.count_nonzero(a & b).
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: a perfect mask has Dice 1
#   10 x 10: np.dot 1.0, (a * b).sum() 1.0
#   16 x 16: np.dot 0.0, (a * b).sum() 1.0
#   20 x 20: np.dot 0.36, (a * b).sum() 1.0
#   32 x 32: np.dot 0.0, (a * b).sum() 1.0
#   boolean: True and not 1024
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6
venv/bin/python -W ignore - <<'PY'
import numpy as np

print('expected: a perfect mask has Dice 1')


def dice(mask, intersection):
    return round(float(2 * intersection / (mask.sum() + mask.sum())), 3)


for side in (10, 16, 20, 32):
    mask = np.zeros((64, 64), np.uint8)
    mask[:side, :side] = 1
    flat = mask.ravel()
    products = [
        np.dot(flat, flat), flat @ flat, np.vdot(flat, flat), np.inner(flat, flat),
        np.einsum('i,i->', flat, flat), np.tensordot(mask, mask, 2),
    ]
    by_dot, by_sum = dice(mask, int(products[0])), dice(mask, (flat * flat).sum())
    print(f'{side} x {side}: np.dot {by_dot}, (a * b).sum() {by_sum}')
    assert {int(product) for product in products} == {side * side % 256}
    assert dice(mask, (flat * flat).sum()) == 1 == dice(mask, np.dot(flat.astype(int), flat))
print('boolean:', np.dot(flat > 0, flat > 0), 'and not', (flat > 0).sum())
PY
