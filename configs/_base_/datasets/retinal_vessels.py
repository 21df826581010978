# Retinal vessels: four stock datasets, in the layout of MMSegmentation's converters,
# as four sites. Every loader holds all of them: a fold's file takes the held-out one
# out of training and validation, and leaves it alone in the test.
data_root = '{{$MCDRL_VESSELS_ROOT:data}}'
image_size = (512, 512)
sites = [
    dict(name='drive'),
    dict(name='stare'),
    dict(name='chase_db1'),
    dict(name='hrf'),
]
site_datasets = dict(
    drive=dict(type='DRIVEDataset', data_root=f'{data_root}/DRIVE'),
    stare=dict(type='STAREDataset', data_root=f'{data_root}/STARE'),
    chase_db1=dict(type='ChaseDB1Dataset', data_root=f'{data_root}/CHASE_DB1'),
    hrf=dict(type='HRFDataset', data_root=f'{data_root}/HRF'),
)
meta_keys = (
    'img_path',
    'seg_map_path',
    'ori_shape',
    'img_shape',
    'pad_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'reduce_zero_label',
    'site',
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
# The annotation is loaded after the resize: scores are taken at native size.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
training_parts = [
    dict(
        **dataset,
        metainfo=dict(site=site),
        data_prefix=dict(
            img_path='images/training', seg_map_path='annotations/training'
        ),
        pipeline=[dict(type='SetSite', site=site), *train_pipeline],
    )
    for site, dataset in site_datasets.items()
]
validation_parts = [
    dict(
        **dataset,
        metainfo=dict(site=site),
        data_prefix=dict(
            img_path='images/validation', seg_map_path='annotations/validation'
        ),
        pipeline=[dict(type='SetSite', site=site), *test_pipeline],
    )
    for site, dataset in site_datasets.items()
]
# A held-out site is tested on all its images.
test_parts = [
    dict(part, pipeline=validation['pipeline'])
    for part, validation in zip(training_parts, validation_parts)
] + validation_parts
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    # Workers that outlive an epoch cannot be seeded for it: see EpochSeedHook.
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ConcatDataset', ignore_keys=['site'], datasets=training_parts),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', ignore_keys=['site'], datasets=validation_parts),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', ignore_keys=['site'], datasets=test_parts),
)
# Distances cost more than a small model's forward pass; the final test has them.
val_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
test_evaluator = dict(type='SiteLesionMetric')
