_base_ = [
    '../_base_/models/coop_clip-rn50_fcn.py',
    '../_base_/datasets/endoscopy-sites_heldout-polypgen-c1.py',
    '../_base_/schedules/schedule_50e_lr5e-3.py',
    '../_base_/default_runtime.py',
]
# The context takes CoOp's learning rate, 2e-3.
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={'prompts.context': dict(lr_mult=0.4, decay_mult=0)}
    ),
)
