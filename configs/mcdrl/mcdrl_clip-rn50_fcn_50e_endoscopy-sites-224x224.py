_base_ = [
    '../_base_/models/mcdrl_clip-rn50_fcn.py',
    '../_base_/datasets/endoscopy_sites.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/schedules/intervention_50e.py',
    '../_base_/default_runtime.py',
]
# The paper's learning rate; docs/training.md says why ViT towers have another.
optim_wrapper = dict(optimizer=dict(lr=5e-3))
