# CLIP gets images of half the height and width, as in SAN: a quarter of the positions,
# about a third of the time. The predictor's logits are resized to the full image size.
_base_ = ['./mcdrl_clip-vit-b16_fcn_50e_endoscopy-sites-224x224.py']
model = dict(backbone=dict(input_scale=0.5))
