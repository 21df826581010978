# The same with MCDRL, which intervenes on the last two of the three maps.
_base_ = ['./own_dinov3.py', '../_base_/mcdrl.py']
mcdrl = dict(
    head=dict(in_index=[1, 2], dictionary=dict(prompts=dict(classes=['polyp'])))
)
