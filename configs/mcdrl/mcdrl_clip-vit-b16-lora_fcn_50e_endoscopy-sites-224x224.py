# The tower is frozen except for low-rank updates (LoRA) of its blocks, with 1.3 million
# weights to train: a compromise between a frozen and a trained tower.
_base_ = ['./mcdrl_clip-vit-b16_fcn_50e_endoscopy-sites-224x224.py']
model = dict(backbone=dict(lora=dict(rank=8)))
