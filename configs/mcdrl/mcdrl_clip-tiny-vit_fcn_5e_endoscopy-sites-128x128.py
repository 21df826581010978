_base_ = [
    '../_base_/models/mcdrl_clip-vit-b16_fcn.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_5e.py',
    '../_base_/schedules/intervention_5e.py',
    '../_base_/paper_form.py',
    '../_base_/default_runtime.py',
]
# A small CLIP-shaped ViT, random at the start: for trying out and for tests. Its texts say
# nothing of images, and there is nothing to observe: the paper's losses and residual.
model = dict(
    backbone=dict(model_name='mcdrl-tiny-vit', pretrained=None),
    decode_head=dict(
        **{**_base_.paper_form, 'unselected': 'keep'},
        in_channels=128,
        predictor=dict(
            in_channels=128,
            channels=64,
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_name='loss_ce', loss_weight=1.0),
                dict(
                    type='VectorizedTverskyLoss',
                    alpha=0.5,
                    beta=0.5,
                    loss_name='loss_dice',
                ),
            ],
        ),
        dictionary=dict(embed_dims=128),
    ),
)
# A small tower that starts from random weights takes a higher rate.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
