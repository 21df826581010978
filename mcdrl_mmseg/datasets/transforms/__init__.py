from .cached_loading import CachedLoading
from .lesion_balanced_crop import LesionBalancedCrop
from .load_lesion_mask import LoadLesionMask
from .set_site import SetSite

__all__ = ['CachedLoading', 'LesionBalancedCrop', 'LoadLesionMask', 'SetSite']
