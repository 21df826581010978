_base_ = ['./clip-rn50_fcn_50e_endoscopy-sites-224x224_heldout-polypgen-c1.py']
model = dict(backbone=dict(frozen=True))
