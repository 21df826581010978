_base_ = ['./clip-vit-b16_fcn.py']
model = dict(
    backbone=dict(model_name='RN50', dense_mode='sclip'),
    decode_head=dict(in_channels=1024),
)
