"""Public data sets, brought into one layout with one index.

``pair_and_write`` runs a whole conversion. Each module of ``sources`` describes a data
set; the other modules hold one step each. Nothing here needs MMSegmentation or PyTorch.
"""
