"""Three small sites without a fault, for tests to put faults into."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = (48, 64)
PAIRS = 5


def picture(seed: str, size=SIZE) -> Image.Image:
    """A smooth picture like no other."""
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
    return coarse.resize(size[::-1], Image.Resampling.BICUBIC)


def box(size=SIZE, value=255, dtype=np.uint8) -> np.ndarray:
    """A mask with one box."""
    mask = np.zeros(size, dtype)
    mask[10:30, 20:40] = value
    return mask


class Sites:
    """The sites, and a config that holds the last one out."""

    names = ('north', 'south', 'west')

    def __init__(self, root: Path) -> None:
        self.root = root
        for site in self.names:
            for part in ('images', 'masks'):
                (root / site / part).mkdir(parents=True)
            for number in range(PAIRS):
                self.put(site, f'{number}')

    def image(self, site: str, name: str = '1') -> Path:
        return self.root / site / 'images' / f'{name}.png'

    def mask(self, site: str, name: str = '1') -> Path:
        return self.root / site / 'masks' / f'{name}.png'

    def put(self, site, name, image=None, mask=None) -> None:
        """Write a pair; an image like no other, and a box, where none is given."""
        (image or picture(f'{site}/{name}')).save(self.image(site, name))
        Image.fromarray(box() if mask is None else mask).save(self.mask(site, name))

    def config(self, **site_values) -> dict:
        def loader(split, names):
            sites = [dict(name=name, **site_values) for name in names]
            dataset = dict(
                type='EndoscopySiteDataset',
                data_root=str(self.root),
                sites=sites,
                split=split,
                pipeline=[],
            )
            return dict(batch_size=1, dataset=dataset)

        return dict(
            train_dataloader=loader('train', self.names[:2]),
            val_dataloader=loader('val', self.names[:2]),
            test_dataloader=loader('all', self.names[2:]),
        )


@pytest.fixture
def sites(tmp_path) -> Sites:
    return Sites(tmp_path / 'sites')


@pytest.fixture
def draw():
    """``picture`` and ``box``."""
    return picture, box
