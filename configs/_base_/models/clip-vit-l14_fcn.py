_base_ = ['./clip-vit-b16_fcn.py']
model = dict(
    backbone=dict(model_name='ViT-L-14', with_cp=True),
    decode_head=dict(in_channels=768),
)
