"""A small made-up pretraining pack with files like those of the real one."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mcdrl_lab.pretraining.endo_pack import CHOOSE, HELD_OUT, TRAIN, part_of

COLUMNS = [
    'file',
    'dataset',
    'label',
    'group',
    'split',
    'mask',
    'luminance',
    'specular_fraction',
]


def _write_pack(root: Path, count: int = 8, side: int = 48) -> Path:
    """Write ``count`` images of each kind, of which a quarter is held out."""
    generator = np.random.default_rng(0)
    rows = []
    for dataset, label in (
        ('cp_child', 'polyp'),
        ('cp_child', 'normal mucosa'),
        ('kvasir_seg', 'polyp'),
        ('wcebleedgen', 'bleeding'),
        ('wcebleedgen', 'no bleeding'),
    ):
        for number in range(count):
            name = f'{dataset}/{label.replace(" ", "_")}_{number}'
            texture = generator.normal(0, 10, (side, side, 1))
            image = np.clip(np.array([90, 110, 170]) + texture, 0, 255).astype(np.uint8)
            mask = ''
            if label == 'polyp':
                cv2.circle(image, (side // 3, side // 3), side // 6, (60, 60, 220), -1)
            if dataset == 'kvasir_seg':
                mask = f'{name}.png'
                drawn = np.zeros((side, side), np.uint8)
                cv2.circle(drawn, (side // 3, side // 3), side // 6, 255, -1)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / f'{name}.jpg'), image)
            if mask:
                cv2.imwrite(str(root / mask), drawn)
            part = (TRAIN, TRAIN, CHOOSE, HELD_OUT)[number % 4]
            split = ''
            if dataset == 'cp_child':
                split = 'test' if part == HELD_OUT else 'train'
            group = next(
                g
                for g in (f'{name}_{n}' for n in range(1000))
                if part_of(g, dataset, split) == part
            )
            row = (f'{name}.jpg', dataset, label, group, split, mask, 120.0, 0.0)
            rows.append(dict(zip(COLUMNS, row)))
    with (root / 'labels.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return root


@pytest.fixture(scope='session')
def endo_pack_root(tmp_path_factory) -> Path:
    """Folder of a made-up pretraining pack."""
    return _write_pack(tmp_path_factory.mktemp('endo_pack'))


@pytest.fixture(scope='session')
def toy_sentences():
    """Stands for the sentence encoder: a fixed vector for each text."""

    def encode(texts: list[str]) -> torch.Tensor:
        rows = []
        for text in texts:
            seed = sum(ord(letter) * (n + 1) for n, letter in enumerate(text))
            generator = torch.Generator().manual_seed(seed)
            rows.append(torch.randn(384, generator=generator))
        return torch.nn.functional.normalize(torch.stack(rows), dim=-1)

    return encode


@pytest.fixture(scope='session')
def toy_imagenet(tmp_path_factory) -> Path:
    """A file like that of the package of ImageNet weights, with random numbers."""
    from mcdrl_mmseg.clip import CLIPSpec, build_image_tower

    torch.manual_seed(0)
    trunk = build_image_tower(CLIPSpec('mcdrl-endo-lite0')).trunk
    state = {f'other_{n}': v for n, v in enumerate(trunk.state_dict().values())}
    state |= {'_fc.weight': torch.zeros(1000, 1280), '_fc.bias': torch.zeros(1000)}
    path = tmp_path_factory.mktemp('imagenet') / 'efficientnet.pth'
    torch.save(state, path)
    return path
