_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_segformer.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_10e.py',
    '../_base_/schedules/intervention_10e.py',
    '../_base_/default_runtime.py',
]
# The built-in weights were trained on simulated scenes only.
model = dict(
    backbone=dict(pretrained='builtin'),
    decode_head=dict(
        intervention=dict(residual='orthogonal', observe_confounders=True),
        loss_causal=None,
        loss_contrast=None,
    ),
)
# docs/training.md says why. Here the tower is trained too, and the lower rate made no
# difference without observed confounders.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'decode_head.intervention': dict(lr_mult=0.1)})
)
train_dataloader = dict(num_workers=0, dataset=dict(max_images=160))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(max_images=20)
)
test_dataloader = dict(num_workers=0)
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
