# The paper's learning rate to the letter: the default of CLIP's ResNet towers;
# docs/training.md says why not of its ViT towers.
_base_ = ['./schedule_50e.py']
optim_wrapper = dict(optimizer=dict(lr=5e-3))
