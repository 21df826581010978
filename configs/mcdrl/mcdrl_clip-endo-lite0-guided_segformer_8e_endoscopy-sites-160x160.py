# Training moves the tower away from the texts, and the selection with it. Here a frozen
# copy of the tower selects the regions and observes the conditions; what is intervened on
# is the trained tower's dense map, as in the config without it.
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
    # Counted in the trained tower's levels: the entry behind the three is its dense map.
    decode_head=dict(in_index=3),
)
