# The same project with MCDRL: one more `_base_`, and the prompts for its lesion. In
# another folder use [..., __import__('mcdrl_mmseg').config_path('_base_/mcdrl.py')].
_base_ = ['./own_segformer.py', '../_base_/mcdrl.py']
mcdrl = dict(head=dict(dictionary=dict(prompts=dict(classes=['polyp']))))
