from .clip_guided_backbone import CLIPGuidedBackbone
from .clip_vision_backbone import CLIPVisionBackbone

__all__ = ['CLIPGuidedBackbone', 'CLIPVisionBackbone']
