_base_ = [
    '../_base_/models/coop_clip-tiny-rn_segformer.py',
    '../_base_/datasets/endoscopy-sites-128x128_heldout-polypgen-c1.py',
    '../_base_/schedules/schedule_5e.py',
    '../_base_/default_runtime.py',
]
# The context takes CoOp's learning rate, 2e-3.
optim_wrapper = dict(
    optimizer=dict(lr=5e-3),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        custom_keys={'prompts.context': dict(lr_mult=0.4, decay_mult=0)}
    ),
)
