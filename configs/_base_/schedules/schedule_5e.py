# For quick trials: a tenth of the paper's schedule.
_base_ = ['./schedule_50e.py']
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=5,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=5)
