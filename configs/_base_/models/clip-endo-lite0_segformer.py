# The built-in CLIP of real endoscopy, without frozen layers: an EfficientNet-Lite0 with
# levels of strides 4, 8 and 16, and CLIP's dense map of stride 32.
_base_ = ['./clip-rn50_fcn.py']
model = dict(
    backbone=dict(
        model_name='mcdrl-endo-lite0',
        pretrained='builtin',
        out_indices=(1, 2, 3),
        dense_mode='vanilla',
        channels_last=True,
    ),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_channels=[24, 40, 112, 256],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # A tenth of the pixels is lesion. With alpha = beta = 0.5 the Tversky loss is
        # the Dice loss.
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', loss_weight=1.0),
            dict(
                type='VectorizedTverskyLoss', alpha=0.5, beta=0.5, loss_name='loss_dice'
            ),
        ],
    ),
)
