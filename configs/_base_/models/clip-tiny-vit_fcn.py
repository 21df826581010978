# A small CLIP-shaped ViT, random at the start: for trying out and for tests.
_base_ = ['./clip-vit-b16_fcn.py']
model = dict(
    backbone=dict(model_name='mcdrl-tiny-vit', pretrained=None),
    decode_head=dict(
        in_channels=128,
        channels=64,
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', loss_weight=1.0),
            dict(type='TverskyLoss', alpha=0.5, beta=0.5, loss_name='loss_dice'),
        ],
    ),
)
