# Settings of all data sets with one folder of images and masks per site. A data set's
# own file adds `sites` and holds one of them out.
dataset_type = 'EndoscopySiteDataset'
data_root = '{{$MCDRL_DATA_ROOT:data/endoscopy_sites}}'
image_size = (224, 224)
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
    'sequence',
    'lesion_classes',
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLesionMask'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
# The mask is loaded after the resize, so that scores are computed at native size.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    dict(type='LoadLesionMask'),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
# tools/test.py --tta: the image and its flips; predictions are flipped back.
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=image_size, keep_ratio=False)],
            [
                dict(type='RandomFlip', prob=0.0),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='vertical'),
            ],
            [dict(type='LoadLesionMask')],
            [dict(type='PackSegInputs', meta_keys=meta_keys)],
        ],
    ),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    # Persistent workers cannot be seeded anew for each epoch: see EpochSeedHook.
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        sites=[],
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        sites=[],
        split='val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        sites=[],
        split='all',
        pipeline=test_pipeline,
    ),
)
# Surface distances take longer than a small model's forward pass; only the final test
# computes them.
val_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
test_evaluator = dict(type='SiteLesionMetric')
