# A small CLIP-like tower with random initial weights, for trials and tests.
_base_ = ['./clip-rn50_fcn.py']
model = dict(
    backbone=dict(model_name='mcdrl-tiny-rn', pretrained=None, out_indices=(0, 1, 2)),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_channels=[64, 128, 256, 128],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        # A tenth of the pixels is lesion: without a loss that weighs both classes
        # equally, a tower with random initial weights predicts background for most of a
        # short schedule. With alpha = beta = 0.5 the Tversky loss is the Dice loss.
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', loss_weight=1.0),
            dict(
                type='VectorizedTverskyLoss', alpha=0.5, beta=0.5, loss_name='loss_dice'
            ),
        ],
    ),
)
