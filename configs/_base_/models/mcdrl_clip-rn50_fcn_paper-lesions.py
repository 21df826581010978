# The paper's five lesion types, and its intervention of full width.
_base_ = ['./mcdrl_clip-rn50_fcn.py']
prompts = dict(classes=['polyp', 'tumour', 'inflammation', 'nodule', 'cyst'])
model = dict(
    decode_head=dict(
        dictionary=dict(prompts=prompts),
        intervention=dict(attention_dims=None, ffn_ratio=1.0),
    )
)
