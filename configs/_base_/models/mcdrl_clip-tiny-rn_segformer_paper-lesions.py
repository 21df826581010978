# The paper's five lesion types.
_base_ = ['./mcdrl_clip-tiny-rn_segformer.py']
prompts = dict(classes=['polyp', 'tumour', 'inflammation', 'nodule', 'cyst'])
model = dict(decode_head=dict(dictionary=dict(prompts=prompts)))
