_base_ = [
    '../baselines/r50-d8_fcn_50e_endoscopy-sites-224x224.py',
    '../_base_/prompts/endoscopy_sites.py',
    '../_base_/schedules/intervention_50e.py',
]
model = __import__('mcdrl_mmseg').mcdrl_over(
    _base_.model,
    '{{ fileDirname }}/../_base_/mcdrl.py',
    prompts=_base_.prompts,
    # At full width the intervention on 2048 channels would be larger than the backbone.
    intervention=dict(attention_dims=512, ffn_ratio=0.25),
)
