_base_ = [
    '../_base_/models/clip-rn50_fcn.py',
    '../_base_/datasets/endoscopy-sites-photometric_heldout-polypgen-c1.py',
    '../_base_/schedules/schedule_50e_lr5e-3.py',
    '../_base_/default_runtime.py',
]
