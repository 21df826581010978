from .causal_alignment_loss import CausalAlignmentLoss
from .clip_contrastive_loss import CLIPContrastiveLoss
from .vectorized_tversky_loss import VectorizedTverskyLoss

__all__ = ['CLIPContrastiveLoss', 'CausalAlignmentLoss', 'VectorizedTverskyLoss']
