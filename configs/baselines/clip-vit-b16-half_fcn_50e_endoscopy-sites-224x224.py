# CLIP gets images of half the height and width.
_base_ = ['./clip-vit-b16_fcn_50e_endoscopy-sites-224x224.py']
model = dict(backbone=dict(input_scale=0.5))
