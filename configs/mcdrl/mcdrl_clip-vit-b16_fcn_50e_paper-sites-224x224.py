_base_ = [
    '../_base_/models/mcdrl_clip-vit-b16_fcn.py',
    '../_base_/datasets/paper_sites.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/schedules/intervention_50e.py',
    '../_base_/paper_form.py',
    '../_base_/default_runtime.py',
]
# The paper's five lesion types.
prompts = dict(classes=['polyp', 'tumour', 'inflammation', 'nodule', 'cyst'])
model = dict(decode_head={**_base_.paper_form, 'dictionary': dict(prompts=prompts)})
