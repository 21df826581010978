# For pretrained towers on real images.
_base_ = ['./schedule_6e.py']
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    _base_.param_scheduler[0],
    {**_base_.param_scheduler[1], 'T_max': 8},
]
train_cfg = dict(max_epochs=8, val_interval=4)
