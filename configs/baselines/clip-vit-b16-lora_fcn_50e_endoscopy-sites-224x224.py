# The tower is frozen except for low-rank updates (LoRA) of its blocks.
_base_ = ['./clip-vit-b16_fcn_50e_endoscopy-sites-224x224.py']
model = dict(backbone=dict(lora=dict(rank=8)))
