# The tower stays frozen but for low-rank changes of its blocks: between a frozen and a
# trained one, with 1.3 million weights of its blocks to train.
_base_ = ['./mcdrl_clip-vit-b16_fcn_50e_endoscopy-sites-224x224.py']
model = dict(backbone=dict(lora=dict(rank=8)))
