_base_ = [
    '../_base_/models/mcdrl_clip-rn50_fcn.py',
    '../_base_/datasets/paper_sites.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/schedules/intervention_50e.py',
    '../_base_/paper_form.py',
    '../_base_/default_runtime.py',
]
# The paper's five lesion types.
prompts = dict(classes=['polyp', 'tumour', 'inflammation', 'nodule', 'cyst'])
model = dict(
    decode_head={
        **_base_.paper_form,
        'dictionary': dict(prompts=prompts),
        # The paper's width; the configs of the six sites use a quarter to save memory.
        'intervention': {
            **_base_.paper_form.intervention,
            'attention_dims': None,
            'ffn_ratio': 1.0,
        },
    }
)
# The paper's learning rate; docs/training.md says why ViT towers have another.
optim_wrapper = dict(optimizer=dict(lr=5e-3))
