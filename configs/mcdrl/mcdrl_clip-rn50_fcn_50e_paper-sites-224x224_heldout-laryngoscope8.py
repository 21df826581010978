_base_ = [
    '../_base_/models/mcdrl_clip-rn50_fcn_paper-lesions.py',
    '../_base_/datasets/paper-sites_heldout-laryngoscope8.py',
    '../_base_/schedules/schedule_50e_lr5e-3.py',
    '../_base_/schedules/intervention_50e.py',
    '../_base_/default_runtime.py',
]
