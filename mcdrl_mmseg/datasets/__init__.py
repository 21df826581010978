from .endoscopy_sites import EndoscopySiteDataset, Site, SiteDataError
from .lesion_masks import LoadLesionMask, MaskError
from .transforms import SetSite

__all__ = [
    'EndoscopySiteDataset',
    'LoadLesionMask',
    'MaskError',
    'SetSite',
    'Site',
    'SiteDataError',
]
