"""SetSite: the site of images whose dataset knows none."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SetSite(BaseTransform):
    """Put the site's name into the results.

    MMSegmentation's own datasets do not say where an image comes from. This step in
    the pipeline of a dataset does, so that scores are told apart by site. Pass
    ``site`` on in the ``meta_keys`` of ``PackSegInputs``.

    Args:
        site: Name of the site, the same as in the dataset's ``metainfo``, from which
            the folds of leave-one-site-out are derived.

    Raises:
        ValueError: An empty name.

    Examples:
        >>> train_pipeline = [
        ...     dict(type='LoadImageFromFile'),
        ...     dict(type='LoadAnnotations'),
        ...     dict(type='SetSite', site='drive'),
        ...     dict(
        ...         type='PackSegInputs',
        ...         meta_keys=('img_path', 'ori_shape', 'img_shape', 'site'))]
    """

    def __init__(self, site: str) -> None:
        if not isinstance(site, str) or not site.strip():
            raise ValueError(f'SetSite: site={site!r} must be a name.')
        self.site = site

    def transform(self, results: dict) -> dict:
        """Set ``site``."""
        results['site'] = self.site
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(site={self.site!r})'
