# The paper's schedule: AdamW, 50 epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=50,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=True),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='AtomicCheckpointHook',
        by_epoch=True,
        interval=1,
        max_keep_ckpts=2,
        save_best='mDice_fg',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    dataset_check=dict(type='DatasetCheckHook'),
    config_check=dict(type='ConfigCheckHook'),
    non_finite_loss=dict(type='NonFiniteLossHook'),
    epoch_seed=dict(type='EpochSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)
