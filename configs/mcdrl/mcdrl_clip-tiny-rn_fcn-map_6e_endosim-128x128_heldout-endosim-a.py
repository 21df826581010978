_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_fcn-map_builtin.py',
    '../_base_/datasets/endosim_heldout-endosim-a.py',
    '../_base_/schedules/schedule_6e.py',
    '../_base_/schedules/intervention_6e.py',
    '../_base_/default_runtime.py',
]
