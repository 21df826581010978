# Training moves the tower's features away from the texts, and thereby changes the
# selection. Here a frozen copy of the tower selects the regions and observes the
# conditions. The intervention works on the trained tower's dense map, as in the config
# without the copy.
_base_ = ['./mcdrl_clip-endo-lite0_segformer_8e_endoscopy-sites-160x160.py']
tower = _base_.model.backbone
model = dict(
    backbone=dict(
        _delete_=True,
        type='CLIPGuidedBackbone',
        backbone=tower,
        clip=dict(
            model_name=tower.model_name,
            pretrained=tower.pretrained,
            dense_mode=tower.dense_mode,
            channels_last=True,
        ),
        mean=_base_.data_preprocessor.mean,
        std=_base_.data_preprocessor.std,
    ),
    # Index into the trained tower's outputs: three levels, then the dense map.
    decode_head=dict(in_index=3),
)
