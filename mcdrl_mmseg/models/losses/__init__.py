from .causal_alignment_loss import CausalAlignmentLoss
from .clip_contrastive_loss import CLIPContrastiveLoss

__all__ = ['CLIPContrastiveLoss', 'CausalAlignmentLoss']
