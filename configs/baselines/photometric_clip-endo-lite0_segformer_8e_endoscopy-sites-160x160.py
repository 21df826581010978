_base_ = [
    './clip-endo-lite0_segformer_8e_endoscopy-sites-160x160.py',
    '../_base_/datasets/photometric_augmentation.py',
]
train_pipeline = [
    _base_.train_pipeline[0],
    # Random defocus: images lose resolution before their masks are loaded.
    dict(
        type='RandomApply',
        prob=0.3,
        transforms=[
            dict(
                type='RandomResize',
                scale=_base_.image_size,
                ratio_range=(0.25, 0.75),
                keep_ratio=False,
            )
        ],
    ),
    *_base_.train_pipeline[1:-1],
    *_base_.photometric_augmentation,
    _base_.train_pipeline[-1],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
