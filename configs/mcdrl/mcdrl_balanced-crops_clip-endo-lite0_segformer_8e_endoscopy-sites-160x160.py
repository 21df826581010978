# Networks trained without balanced crops find lesions in most lesion-free images: almost
# all their training images show one. LesionBalancedCrop adds crops without lesions.
_base_ = ['./mcdrl_clip-endo-lite0_segformer_8e_endoscopy-sites-160x160.py']
train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='LesionBalancedCrop', prob=0.5),
    *_base_.train_pipeline[2:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
