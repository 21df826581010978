"""SetSite: sets the site of images whose data set has no sites."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SetSite(BaseTransform):
    """Put the site's name into the results.

    MMSegmentation's own data sets do not say which site an image is from. This step in
    a data set's pipeline does, so that scores can be computed by site. List ``site`` in
    the ``meta_keys`` of ``PackSegInputs``.

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
            raise ValueError(f'SetSite: site={site!r} must be a non-empty string.')
        self.site = site

    def transform(self, results: dict) -> dict:
        """Set ``site``."""
        results['site'] = self.site
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(site={self.site!r})'
