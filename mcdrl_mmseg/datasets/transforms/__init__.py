from .cached_loading import CachedLoading
from .load_lesion_mask import LoadLesionMask
from .set_site import SetSite

__all__ = ['CachedLoading', 'LoadLesionMask', 'SetSite']
