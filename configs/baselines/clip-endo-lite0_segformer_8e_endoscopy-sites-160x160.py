_base_ = [
    '../_base_/models/clip-endo-lite0_segformer.py',
    '../_base_/datasets/endoscopy_sites_160x160.py',
    '../_base_/schedules/schedule_8e.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0)
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
