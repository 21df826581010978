# Every process keeps its share of AdamW's state (ZeRO stage 1); steps stay the same.
_base_ = ['./mcdrl_clip-vit-l14_fcn_50e_endoscopy-sites-224x224.py']
optim_wrapper = dict(
    optimizer=dict(type='ZeroOptimizer', optimizer_type='AdamW'),
)
default_hooks = dict(zero=dict(type='ZeroCheckpointHook'))
