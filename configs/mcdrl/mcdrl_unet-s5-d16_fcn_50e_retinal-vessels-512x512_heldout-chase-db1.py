_base_ = [
    '../_base_/models/mcdrl_unet-s5-d16_fcn_vessels.py',
    '../_base_/datasets/retinal-vessels_heldout-chase-db1.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/schedules/intervention_50e.py',
    '../_base_/default_runtime.py',
]
