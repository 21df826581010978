from .endoscopy_sites import EndoscopySiteDataset
from .transforms import CachedLoading, LoadLesionMask, SetSite

__all__ = [
    'CachedLoading',
    'EndoscopySiteDataset',
    'LoadLesionMask',
    'SetSite',
]
