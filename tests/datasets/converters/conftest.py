"""Tiny data sets, made in the layouts and file formats of the real ones."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mcdrl_mmseg.datasets.converters.sources.folder import FolderOptions, folder_source

SIZE = (48, 64)


class Maker:
    """Writes images and masks below a folder; folders are made as needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def image(self, name: str, size=SIZE, seed: str | None = None, **save) -> Path:
        """An image like no other, unless the seed is given."""
        path = self._path(name)
        rng = np.random.default_rng(zlib.crc32((seed or name).encode()))
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
        coarse.resize(size[::-1], Image.Resampling.BICUBIC).save(path, **save)
        return path

    def mask(
        self, name: str, size=SIZE, values=(0, 255), box=(10, 20, 30, 40), mode='L'
    ) -> Path:
        """A mask with a box (top, left, bottom, right) of the second value."""
        mask = np.full(size, values[0], np.uint8)
        if box:
            mask[box[0] : box[2], box[1] : box[3]] = values[1]
        return self.array(name, mask, mode)

    def array(self, name: str, values: np.ndarray, mode: str | None = None) -> Path:
        """Any pixels."""
        path = self._path(name)
        image = Image.fromarray(values)
        (image.convert(mode) if mode else image).save(path)
        return path

    def pair(self, image: str, mask: str, **kwargs) -> None:
        self.image(image)
        self.mask(mask, **kwargs)

    def _path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def download(tmp_path) -> Path:
    """Folder of the data set as downloaded."""
    folder = tmp_path / 'download'
    folder.mkdir()
    return folder


@pytest.fixture
def make(download) -> Maker:
    return Maker(download)


@pytest.fixture
def out(tmp_path) -> Path:
    """Output folder; does not exist yet."""
    return tmp_path / 'converted'


@pytest.fixture
def snapshot():
    """Function from a folder to the content of every file in it."""

    def take(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob('*'))
            if path.is_file()
        }

    return take


@pytest.fixture
def read_mask():
    """Function from a PNG file to its (H, W) values."""

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            assert image.format == 'PNG'
            assert image.mode == 'L'
            return np.asarray(image)

    return read


@pytest.fixture
def box_mask() -> np.ndarray:
    """The default mask of ``Maker.mask``, as written by a converter."""
    mask = np.zeros(SIZE, np.uint8)
    mask[10:30, 20:40] = 255
    return mask


@pytest.fixture
def clinic():
    """Function that describes a folder of images/ and masks/ as a site."""

    def describe(site='clinic', **options):
        options = {'lesion_class': 'polyp', **options}
        return folder_source(FolderOptions(site, **options))

    return describe


@pytest.fixture
def three_pairs(make):
    make.pair('images/a.jpg', 'masks/a.png')
    make.pair('images/b.png', 'masks/b.jpg')
    make.pair('images/c.tif', 'masks/c.png', box=None)
