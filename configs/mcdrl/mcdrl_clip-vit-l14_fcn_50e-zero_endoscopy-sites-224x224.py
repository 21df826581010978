# Every process only keeps its shard of AdamW's state (ZeRO stage 1); the steps do not
# change.
_base_ = ['./mcdrl_clip-vit-l14_fcn_50e_endoscopy-sites-224x224.py']
optim_wrapper = dict(
    optimizer=dict(type='ZeroOptimizer', optimizer_type='AdamW'),
)
default_hooks = dict(zero=dict(type='ZeroCheckpointHook'))
