"""Public data sets, brought into one layout with one index.

``pair_and_write`` is the whole of a conversion; a module of ``sources`` describes each
data set; the others hold one step each. Nothing here needs MMSegmentation or PyTorch.
"""
