_base_ = ['./clip-tiny-rn_segformer_5e_endoscopy-sites-128x128_heldout-polypgen-c1.py']
data_preprocessor = dict(
    type='AugmentingDataPreProcessor', augmentation=dict(type='CausalAugmentation')
)
model = dict(data_preprocessor=data_preprocessor)
