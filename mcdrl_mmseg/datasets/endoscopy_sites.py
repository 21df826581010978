"""EndoscopySiteDataset: image and mask folders of one or several hospitals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

if TYPE_CHECKING:
    from mcdrl_common.sites import SiteFolders

from .image_memory import ImageMemory, leading_steps, stamp_of
from .transforms.cached_loading import cache_leading

# Colours of the lesion classes in order; they repeat from the seventh class on.
_COLOURS = (
    [255, 170, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [213, 94, 0],
    [204, 121, 167],
)


# Arguments of mmseg's BaseSegDataset without a meaning here, and what replaces them.
_UNREAD = {
    'ann_file': 'set sites and split instead',
    'data_prefix': 'set img_dir and mask_dir of the sites instead',
    'img_suffix': 'the image formats are known',
    'seg_map_suffix': 'the mask formats are known',
    'reduce_zero_label': 'set mask_values of the sites instead',
}


@DATASETS.register_module()
class EndoscopySiteDataset(BaseSegDataset):
    """Lesion images of several sites; each sample has its site and lesion classes.

    Layout: ``<data_root>/<site>/images/NAME.jpg`` and ``masks/NAME.png``. With the
    default classes, background and lesion, every lesion is label 1. With
    ``metainfo=dict(classes=('background', 'polyp', ...))`` every lesion class has its
    own label. Load masks with ``LoadLesionMask``, and list ``site``, ``lesion_classes``
    and ``sequence`` in the ``meta_keys`` of ``PackSegInputs``.

    The results of the loading steps at the start of the pipeline (decoded, resized
    images) stay in memory for the next epochs, up to 256 MB per data set; dataloader
    workers share them (:class:`~mcdrl_mmseg.datasets.image_memory.ImageMemory`).

    Args:
        sites: Names, or mappings of :class:`Site`'s arguments.
        split: ``'all'``, ``'train'`` or ``'val'``. The validation part of a site is
            whole sequences if ``<data_root>/index.csv`` names them, else a contiguous
            block.
        val_fraction: Share of each site's images in its validation part.
        max_images: Use only the first images of each site, for a quick trial.
        cache_dir: Folder for decoded and resized copies of the images, see
            :class:`CachedLoading`. None makes no copies.
        **kwargs: As for mmseg's ``BaseSegDataset``, except for arguments about file
            locations and mask values, which ``sites`` replaces.

    Raises:
        SiteDataError: A site's folder is missing or empty, images have no mask, lesion
            classes have no label, the background is not the first class, or an argument
            would have no effect.

    Examples:
        >>> train_dataloader = dict(
        ...     dataset=dict(
        ...         type='EndoscopySiteDataset',
        ...         data_root='data/endoscopy_sites',
        ...         sites=[
        ...             dict(name='polypgen_c1', lesion_classes=['polyp']),
        ...             dict(name='polypgen_c2', lesion_classes=['polyp'])],
        ...         split='train',
        ...         pipeline=[
        ...             dict(type='LoadImageFromFile'),
        ...             dict(type='LoadLesionMask'),
        ...             dict(type='PackSegInputs')]))
    """

    _memory: ImageMemory | None = None

    METAINFO = dict(classes=('background', 'lesion'), palette=[[0, 0, 0], _COLOURS[0]])

    def __init__(
        self,
        sites: Sequence[str | Mapping],
        split: str = 'all',
        val_fraction: float = 0.2,
        max_images: int | None = None,
        cache_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        from mcdrl_common.sites import Site, check_selection

        self.sites = [Site.from_cfg(site) for site in sites]
        check_selection(self.sites, split, val_fraction)
        self.split = split
        self.val_fraction = val_fraction
        self.max_images = max_images
        _refuse_unread(kwargs)
        metainfo = kwargs.get('metainfo') or {}
        if 'classes' in metainfo and 'palette' not in metainfo:
            # It may be the name of a file, which MMEngine reads.
            count = len(self._load_metainfo(metainfo)['classes']) - 1
            colours = [_COLOURS[i % len(_COLOURS)] for i in range(count)]
            kwargs['metainfo'] = {**metainfo, 'palette': [[0, 0, 0], *colours]}
        if cache_dir is not None:
            kwargs['pipeline'] = cache_leading(kwargs.get('pipeline', ()), cache_dir)
        super().__init__(**kwargs)

    def full_init(self) -> None:
        """List the samples, and prepare the memory for them."""
        super().full_init()
        if self._memory is None:
            # A split is read in every epoch. Whole sites (split='all') may be for a
            # test, which reads them once: their images are kept from the second load.
            self._memory = ImageMemory(len(self), at_once=self.split != 'all')

    def prepare_data(self, idx: int) -> Any:
        """A sample, with image and mask loaded from file or from memory.

        Args:
            idx: Number of the sample.
        """
        results = self.get_data_info(idx)
        steps = self.pipeline.transforms
        count = leading_steps(steps)
        stamp = stamp_of(results, steps[:count]) if count else None
        if stamp is None or self._memory is None:
            return self.pipeline(results)
        found = self._memory.get(idx, stamp)
        if found is None:
            found = _run(steps[:count], results)
            if found is not None:
                self._memory.put(idx, stamp, found)
        return _run(steps[count:], found)

    @classmethod
    def get_label_map(cls, new_classes: Sequence | None = None) -> None:
        """No map from old to new labels: ``mask_values`` gives labels directly."""
        return None

    def _join_prefix(self) -> None:
        """Nothing to join: every site has its own folders."""

    @cached_property
    def folders(self) -> SiteFolders:
        """The folders that the samples come from."""
        from mcdrl_common.sites import SiteFolders

        return SiteFolders(
            Path(self.data_root or '.').expanduser(),
            self.sites,
            self.split,
            self.val_fraction,
            self.max_images,
            self.metainfo['classes'],
            self.ignore_index,
        )

    def load_data_list(self) -> list[dict]:
        """List the samples, site by site, in the order of their names."""
        return self.folders.samples()


def _run(steps: Sequence[Callable], results: dict | None) -> Any:
    """Run some steps of a pipeline, as MMEngine's ``Compose`` does."""
    for step in steps:
        if results is None:
            break
        results = step(results)
    return results


def _refuse_unread(kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments of mmseg that would have no effect."""
    from mcdrl_common.sites import SiteDataError

    defaults = signature(BaseSegDataset.__init__).parameters
    for name, instead in _UNREAD.items():
        if name in kwargs and kwargs[name] != defaults[name].default:
            raise SiteDataError(
                f'EndoscopySiteDataset: {name}={kwargs[name]!r} has no effect on '
                f'folders of sites. Remove it; {instead}.'
            )
