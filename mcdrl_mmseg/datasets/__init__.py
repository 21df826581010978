from .endoscopy_sites import EndoscopySiteDataset, Site, SiteDataError
from .lesion_masks import LoadLesionMask, MaskError
from .transforms import CachedLoading, SetSite

__all__ = [
    'CachedLoading',
    'EndoscopySiteDataset',
    'LoadLesionMask',
    'MaskError',
    'SetSite',
    'Site',
    'SiteDataError',
]
