# The randomised experiment: training images from EndoSim drawn with `--spurious 0`, the
# same scenes under conditions that depend neither on the site nor on the lesion.
_base_ = ['./clip-tiny-rn_fcn_6e_endosim-128x128.py']
randomised_root = '{{$MCDRL_ENDOSIM_RANDOMISED_ROOT:data/endosim_randomised}}'
train_dataloader = dict(dataset=dict(data_root=randomised_root))
val_dataloader = dict(dataset=dict(data_root=randomised_root))
