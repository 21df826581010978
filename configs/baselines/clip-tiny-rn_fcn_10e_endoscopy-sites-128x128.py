_base_ = [
    '../_base_/models/clip-tiny-rn_fcn_builtin.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_10e.py',
    '../_base_/default_runtime.py',
]
# The frozen built-in weights were trained on simulated scenes only.
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0)
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
