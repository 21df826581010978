#!/usr/bin/env bash
# With albumentations every data loader worker makes the same random draws, and repeats them in every epoch.
#
# Expected: a random brightness differs from image to image, in each worker and in each epoch, as
#   it does with NumPy's global generator, which PyTorch seeds in each worker.
# Happens: Compose holds its own generators, seeded when it is created. Workers are copies of the process that holds it,
#   so the first image of every worker gets the same brightness, and likewise the second, and so on. Workers are
#   restarted for each epoch, so the next epoch repeats these draws. Only 6 of 24 draws differ. A seed does not help;
#   persistent workers prevent only the repetition across epochs. The help says that outside generators have no
#   influence, but does not mention this.
# Versions: albumentations 2.0.8, the last of this name; torch 2.13.0, NumPy 2.4.6. Known: albumentations' issue 2473;
#   fixed in its successor, AlbumentationsX.
# Why it matters: with few images augmentation is most of the variety that there is. A hundred
#   epochs of 400 images in 4 workers see 100 draws in place of 40,000, and nothing shows it.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   different draws of 24, in 2 epochs of 12 images
#   expected, NumPy's generator in 2 workers: 24
#   without workers: 24
#   2 workers: 6
#   2 workers, a seed: 6
#   2 workers that persist: 12
#   2 workers, set_random_state() in each: 24
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 torch==2.13.0 albumentations==2.0.8
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python -W ignore - <<'PY'
import random

import albumentations
import numpy as np
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Images(Dataset):
    def __init__(self, seed=None):
        brightness = albumentations.RandomBrightnessContrast(p=1)
        self.transform = albumentations.Compose([brightness], seed=seed)

    def __len__(self):
        return 12

    def __getitem__(self, index):
        grey = np.full((2, 2, 3), 0.5, np.float32)
        return float(self.transform(image=grey)['image'][0, 0, 0])


class NumpyImages(Images):
    def __getitem__(self, index):
        return float(np.random.uniform())


def seed_worker(_):
    info = get_worker_info()
    generators = np.random.default_rng(info.seed), random.Random(info.seed)
    info.dataset.transform.set_random_state(*generators)


def different(images, workers=2, **options):
    loader = DataLoader(images, batch_size=2, num_workers=workers, **options)
    return len({value for _ in range(2) for batch in loader for value in batch.tolist()})


print('different draws of 24, in 2 epochs of 12 images')
usual, alone = different(NumpyImages()), different(Images(), workers=0)
print("expected, NumPy's generator in 2 workers:", usual)
print('without workers:', alone)
plain, seeded = different(Images()), different(Images(7))
print('2 workers:', plain)
print('2 workers, a seed:', seeded)
persistent = different(Images(), persistent_workers=True)
print('2 workers that persist:', persistent)
repaired = different(Images(), worker_init_fn=seed_worker)
print('2 workers, set_random_state() in each:', repaired)
assert usual == alone == repaired == 24
assert plain == seeded == 6
assert persistent == 12
PY
