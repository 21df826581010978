_base_ = ['./clip-rn50_fcn_50e_endoscopy-sites-224x224_heldout-polypgen-c1.py']
data_preprocessor = dict(
    type='AugmentingDataPreProcessor', augmentation=dict(type='CausalAugmentation')
)
model = dict(data_preprocessor=data_preprocessor)
