_base_ = ['./clip-rn50_fcn.py', '../prompts/endoscopy_sites.py']
model = dict(
    decode_head=dict(
        _delete_=True,
        type='CausalInterventionHead',
        in_channels=1024,
        in_index=-2,
        predictor={**_base_.model.decode_head, 'in_index': -1},
        dictionary=dict(
            type='ConfounderDictionary', prompts=_base_.prompts, embed_dims=1024
        ),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        # Not the paper's form, which is in _base_/paper_form.py: residual and observed
        # confounders gained most on simulated sites; with them, the losses brought no
        # gain (docs/evidence_endosim.md). The widths are a quarter of the joint space's
        # 1024: at full width the intervention has half as many parameters as the tower.
        intervention=dict(
            type='CausalIntervention',
            num_layers=3,
            attention_dims=256,
            ffn_ratio=0.25,
            residual='orthogonal',
            observe_confounders=True,
        ),
        loss_causal=None,
        loss_contrast=None,
    )
)
