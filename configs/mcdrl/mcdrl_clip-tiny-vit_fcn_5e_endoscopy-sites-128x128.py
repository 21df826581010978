_base_ = [
    '../_base_/models/mcdrl_clip-vit-b16_fcn.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_5e.py',
    '../_base_/schedules/intervention_5e.py',
    '../_base_/paper_form.py',
    '../_base_/default_runtime.py',
]
# A small CLIP-like ViT with random initial weights, for trials and tests. Its texts and
# images are unrelated, so no confounders can be observed: the paper's losses and
# residual.
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
# A small tower with random initial weights: a higher learning rate.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
