# Retinal vessels: four stock datasets, in the layout of MMSegmentation's converters,
# as four sites, one of which is held out.
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
# The annotation is loaded after the resize, so that scores are computed at native size.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=False),
    dict(type='LoadAnnotations'),
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
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs', meta_keys=meta_keys)],
        ],
    ),
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
# This site is excluded from training and validation, and is the whole test set. Set it
# by MCDRL_HELD_OUT=SITE. With `none` training and validation use all sites, and the
# test set is the validation set.
held_out_site = '{{$MCDRL_HELD_OUT:drive}}'
if held_out_site not in [*site_datasets, 'none']:
    raise ValueError(
        f'MCDRL_HELD_OUT={held_out_site!r} is none of the sites of this data set: '
        f'{", ".join(site_datasets)} (or none, which trains on all of them).'
    )
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    # Persistent workers cannot be seeded anew for each epoch: see EpochSeedHook.
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['site'],
        datasets=[p for p in training_parts if p['metainfo']['site'] != held_out_site],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['site'],
        datasets=[
            p for p in validation_parts if p['metainfo']['site'] != held_out_site
        ],
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['site'],
        datasets=[
            p
            for p in (validation_parts if held_out_site == 'none' else test_parts)
            if held_out_site in (p['metainfo']['site'], 'none')
        ],
    ),
)
# Surface distances take longer than a small model's forward pass; only the final test
# computes them.
val_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
test_evaluator = dict(type='SiteLesionMetric')
if held_out_site == 'none':
    del held_out_site
