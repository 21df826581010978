from .endoscopy_sites import EndoscopySiteDataset
from .transforms import CachedLoading, LesionBalancedCrop, LoadLesionMask, SetSite

__all__ = [
    'CachedLoading',
    'EndoscopySiteDataset',
    'LesionBalancedCrop',
    'LoadLesionMask',
    'SetSite',
]
