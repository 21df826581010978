from .cached_loading import CachedLoading
from .set_site import SetSite

__all__ = ['CachedLoading', 'SetSite']
