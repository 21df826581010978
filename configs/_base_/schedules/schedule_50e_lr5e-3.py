# The paper's learning rate to the letter; docs/training.md says why it is no default.
_base_ = ['./schedule_50e.py']
optim_wrapper = dict(optimizer=dict(lr=5e-3))
