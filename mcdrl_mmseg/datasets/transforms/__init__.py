from .set_site import SetSite

__all__ = ['SetSite']
