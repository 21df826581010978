_base_ = ['./clip-vit-b16_fcn_50e_endoscopy-sites-224x224_heldout-polypgen-c1.py']
model = dict(backbone=dict(input_scale=0.5))
