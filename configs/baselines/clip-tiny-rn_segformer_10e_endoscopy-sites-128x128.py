_base_ = [
    '../_base_/models/clip-tiny-rn_segformer.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_10e.py',
    '../_base_/default_runtime.py',
]
# The built-in weights were trained on simulated scenes only.
model = dict(backbone=dict(pretrained='builtin'))
train_dataloader = dict(num_workers=0, dataset=dict(max_images=160))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(max_images=20)
)
test_dataloader = dict(num_workers=0)
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
