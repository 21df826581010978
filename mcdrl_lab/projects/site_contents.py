"""Number of images of a hospital, and whether any shows a lesion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrl_common.findings import FileProblem
from mcdrl_common.mask_files import read_mask_pixels
from mcdrl_common.mask_format import MaskError
from mcdrl_common.sites import Site, SiteDataError, SiteFolders
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.folder_names import check_name

_MASKS_READ = 3


@dataclass(frozen=True)
class SiteContent:
    """The images of a hospital.

    Args:
        images: Number of all images.
        train_images: Number of images in the training part.
        has_lesion: Whether any of its masks shows a lesion.
    """

    images: int
    train_images: int
    has_lesion: bool

    def __str__(self) -> str:
        beside = '' if self.has_lesion else ', none with a lesion: for training only'
        return f'{self.images} images{beside}'


def read_contents(root: Path, site: Site) -> SiteContent:
    """Count a hospital's images, and read masks until one shows a lesion.

    Args:
        root: Folder of the hospitals.
        site: The hospital.

    Raises:
        ProtocolError: Images without a mask, masks with unexpected values, or a site
            name that cannot name a folder.
    """
    check_name('site', site.name)
    try:
        samples = SiteFolders(root, [site]).samples()
        train = SiteFolders(root, [site], 'train').samples()
    except SiteDataError as error:
        raise ProtocolError(
            f'{error} If masks have other names than their images, rename them with '
            'python -m mcdrl_lab convert folder --mask-suffix.'
        ) from None
    return SiteContent(
        len(samples), len(train), any(_lesions(_from_everywhere(samples)))
    )


def _from_everywhere(samples: Sequence[Mapping]) -> list[Mapping]:
    """All samples, reordered so that the first ones are spread over the whole list."""
    step = max(1, len(samples) // _MASKS_READ)
    return [sample for first in range(step) for sample in samples[first::step]]


def _lesions(samples: Sequence[Mapping[str, Any]]) -> Iterator[bool]:
    """Whether each mask shows a lesion."""
    for sample in samples:
        path = Path(sample['seg_map_path'])
        try:
            _, present = sample['mask_format'].decode(read_mask_pixels(path), path)
        except (MaskError, FileProblem) as error:
            raise ProtocolError(
                f'{error} Convert masks with other values with python -m mcdrl_lab '
                'convert folder --mask-values.'
            ) from None
        yield bool(present)
