# The main job of `make demo-real`: about four minutes on two cores.
_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_segformer.py',
    '../_base_/datasets/endoscopy-sites-128x128_demo.py',
    '../_base_/schedules/schedule_5e.py',
    '../_base_/schedules/intervention_5e.py',
    '../_base_/default_runtime.py',
]
optim_wrapper = dict(optimizer=dict(lr=3e-3), clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=12,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=12)
