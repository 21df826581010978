from .endoscopy_sites import EndoscopySiteDataset, Site, SiteDataError
from .lesion_masks import LoadLesionMask, MaskError

__all__ = [
    'EndoscopySiteDataset',
    'LoadLesionMask',
    'MaskError',
    'Site',
    'SiteDataError',
]
