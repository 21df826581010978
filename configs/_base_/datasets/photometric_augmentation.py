# Strong changes of light and colour, after geometric steps and before packing.
photometric_augmentation = [
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=48,
        contrast_range=(0.5, 1.5),
        saturation_range=(0.3, 1.7),
        hue_delta=18,
    ),
    dict(
        type='RandomApply',
        prob=0.3,
        transforms=[
            dict(
                type='RandomChoice',
                transforms=[
                    [dict(type='AdjustGamma', gamma=0.6)],
                    [dict(type='AdjustGamma', gamma=1.6)],
                    [dict(type='CLAHE', clip_limit=4.0)],
                ],
            )
        ],
    ),
    dict(type='RandomGrayscale', prob=0.1, keep_channels=True, color_format='bgr'),
    # Labels in the cut-out regions are ignored.
    dict(
        type='RandomCutOut',
        prob=0.5,
        n_holes=(1, 3),
        cutout_ratio=[(0.1, 0.1), (0.2, 0.2)],
        fill_in=(104, 117, 123),
        seg_fill_in=255,
    ),
]
