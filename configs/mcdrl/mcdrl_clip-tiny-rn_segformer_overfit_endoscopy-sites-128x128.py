# Overfitting test: trained and tested on the same eight images of one site. Foreground
# Dice rises above 0.9 in about a minute on two cores.
_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_segformer.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_5e.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(predictor=dict(dropout_ratio=0.0)))
site = [s for s in _base_.sites if s['name'] == 'endotect_kvasir']
held_out_site = None
eight_images = dict(sites=site, split='all', max_images=8)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        **eight_images,
        pipeline=[t for t in _base_.train_pipeline if t['type'] != 'RandomFlip'],
    ),
)
val_dataloader = dict(
    batch_size=8, num_workers=0, persistent_workers=False, dataset=eight_images
)
test_dataloader = dict(batch_size=8, num_workers=0, dataset=eight_images)
optim_wrapper = dict(optimizer=dict(lr=5e-3), clip_grad=dict(max_norm=5.0))
# One epoch is one iteration.
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=200,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=200, val_interval=50)
default_hooks = dict(
    checkpoint=dict(interval=200),
    logger=dict(interval=50),
    dataset_check=dict(allow=['same file in two splits']),
)
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=30),
]
