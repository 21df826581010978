_base_ = [
    '../_base_/models/mcdrl_clip-endo-lite0_segformer.py',
    '../_base_/datasets/endoscopy_sites_160x160.py',
    '../_base_/schedules/schedule_8e.py',
    '../_base_/schedules/intervention_8e.py',
    '../_base_/default_runtime.py',
]
# A lower learning rate for the intervention; docs/training.md says why.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'decode_head.intervention': dict(lr_mult=0.1)})
)
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0)
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
