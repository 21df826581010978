_base_ = [
    '../baselines/mit-b0_segformer_50e_endoscopy-sites-224x224.py',
    '../_base_/prompts/endoscopy_sites.py',
    '../_base_/schedules/intervention_50e.py',
]
model = __import__('mcdrl_mmseg').mcdrl_over(
    _base_.model,
    '{{ fileDirname }}/../_base_/mcdrl.py',
    prompts=_base_.prompts,
)
