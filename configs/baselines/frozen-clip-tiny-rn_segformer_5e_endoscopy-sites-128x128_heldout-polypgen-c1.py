_base_ = ['./clip-tiny-rn_segformer_5e_endoscopy-sites-128x128_heldout-polypgen-c1.py']
model = dict(backbone=dict(frozen=True))
