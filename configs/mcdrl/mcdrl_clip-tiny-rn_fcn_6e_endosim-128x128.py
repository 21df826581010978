_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_fcn_builtin.py',
    '../_base_/datasets/endosim.py',
    '../_base_/schedules/schedule_6e.py',
    '../_base_/schedules/intervention_5e.py',
    '../_base_/default_runtime.py',
]
