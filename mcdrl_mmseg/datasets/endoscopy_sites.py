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

# Lesion classes in order; from the seventh on they begin again.
_COLOURS = (
    [255, 170, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [213, 94, 0],
    [204, 121, 167],
)


# What mmseg's BaseSegDataset takes, and folders of sites do not have; and what to give.
_UNREAD = {
    'ann_file': 'sites and split',
    'data_prefix': 'img_dir and mask_dir of the sites',
    'img_suffix': 'nothing: the image formats are known',
    'seg_map_suffix': 'nothing: the mask formats are known',
    'reduce_zero_label': 'mask_values of the sites, which name what each value means',
}


@DATASETS.register_module()
class EndoscopySiteDataset(BaseSegDataset):
    """Lesion images of several sites, each sample carrying its site and lesions.

    Layout: ``<data_root>/<site>/images/NAME.jpg`` and ``masks/NAME.png``. With the
    default classes, background and lesion, every lesion is label 1; with
    ``metainfo=dict(classes=('background', 'polyp', ...))`` every lesion class has a
    label of its own. Load masks with ``LoadLesionMask`` and pass ``site``,
    ``lesion_classes`` and ``sequence`` on in the ``meta_keys`` of ``PackSegInputs``.

    What the loading steps at the beginning of the pipeline give, decoded and resized,
    stays in memory for the next epochs, up to 256 MB a data set, and data workers share
    it (:class:`~mcdrl_mmseg.datasets.image_memory.ImageMemory`).

    Args:
        sites: Names, or mappings of :class:`Site`'s arguments.
        split: ``'all'``, ``'train'`` or ``'val'``: a validation part of every site,
            whole sequences where ``<data_root>/index.csv`` names them, else a
            contiguous block.
        val_fraction: Share of each site's images in its validation part.
        max_images: Take only the first images of each site, for trying out.
        cache_dir: Folder in which to keep decoded and resized images, as copies of the
            data set: see :class:`CachedLoading`. None keeps none.
        **kwargs: As for mmseg's ``BaseSegDataset``, but for those that say where files
            lie and what their values mean, which the sites do.

    Raises:
        SiteDataError: A site's folder is missing or empty, images without mask,
            lesion classes without label, a background that is not the first class, or
            an argument that nothing would read.

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
            count = len(metainfo['classes']) - 1
            colours = [_COLOURS[i % len(_COLOURS)] for i in range(count)]
            kwargs['metainfo'] = {**metainfo, 'palette': [[0, 0, 0], *colours]}
        if cache_dir is not None:
            kwargs['pipeline'] = cache_leading(kwargs.get('pipeline', ()), cache_dir)
        super().__init__(**kwargs)

    def full_init(self) -> None:
        """List the samples, and make room for them."""
        super().full_init()
        if self._memory is None:
            # Whole sites are tested on, once; what is split is read in every epoch.
            self._memory = ImageMemory(len(self), at_once=self.split != 'all')

    def prepare_data(self, idx: int) -> Any:
        """A sample, its image and mask loaded or remembered.

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
        """No map from old to new labels: ``mask_values`` goes straight to labels."""
        return None

    def _join_prefix(self) -> None:
        """Nothing to join: every site has folders of its own."""

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
    """Some steps of a pipeline, as MMEngine's ``Compose`` runs them."""
    for step in steps:
        if results is None:
            break
        results = step(results)
    return results


def _refuse_unread(kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments of mmseg that are set and would have no effect."""
    from mcdrl_common.sites import SiteDataError

    defaults = signature(BaseSegDataset.__init__).parameters
    for name, instead in _UNREAD.items():
        if name in kwargs and kwargs[name] != defaults[name].default:
            raise SiteDataError(
                f'EndoscopySiteDataset: {name}={kwargs[name]!r} has no effect on '
                f'folders of sites. Remove it; give {instead}.'
            )
