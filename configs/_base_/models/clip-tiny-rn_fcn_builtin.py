# The built-in tiny CLIP, frozen. It was trained on images in which lesions and imaging
# conditions are independent. Dilation makes its dense map finer.
_base_ = ['./clip-tiny-rn_segformer.py']
model = dict(
    backbone=dict(
        pretrained='builtin',
        out_indices=(),
        dense_mode='maskclip',
        output_stride=16,
        frozen=True,
    ),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=128,
        in_index=-2,
        channels=64,
        num_convs=2,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=dict(type='BN', requires_grad=True),
        # With ReLU all features of lesions became zero in some short runs; the bias
        # then kept their probability below one half: Dice 0.
        act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
        align_corners=False,
        loss_decode=_base_.model.decode_head.loss_decode,
    ),
)
