_base_ = [
    '../_base_/models/mcdrl_clip-vit-l14_fcn.py',
    '../_base_/datasets/endoscopy_sites.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/schedules/intervention_50e.py',
    '../_base_/default_runtime.py',
]
