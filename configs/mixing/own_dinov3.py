# A project's own config with a foundation model as backbone: DINOv3 ViT-S/16 through
# MMSegmentation's TIMMBackbone, with an FCN head on three of its blocks.
_base_ = ['./own_segformer.py']
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='TIMMBackbone',
        model_name='vit_small_patch16_dinov3.lvd1689m',
        features_only=True,
        # timm downloads the weights once; checkpoint_path=... reads a file instead.
        pretrained=True,
        out_indices=(7, 9, 11),
    ),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=[384, 384, 384],
        in_index=[0, 1, 2],
        input_transform='resize_concat',
        channels=128,
        num_convs=1,
        concat_input=False,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
)
