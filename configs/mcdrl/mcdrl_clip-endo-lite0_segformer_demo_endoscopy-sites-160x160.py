# For `make demo-real`: three training sites and one held-out site, regardless of
# MCDRL_HELD_OUT.
_base_ = ['./mcdrl_clip-endo-lite0_segformer_8e_endoscopy-sites-160x160.py']
sites = [
    dict(name=name, lesion_classes=['polyp'])
    for name in ('polypgen_c1', 'polypgen_c2', 'polypgen_c3', 'endotect_kvasir')
]
held_out_site = 'polypgen_c1'
training_sites = sites[1:]
train_dataloader = dict(dataset=dict(sites=training_sites))
val_dataloader = dict(dataset=dict(sites=training_sites))
test_dataloader = dict(dataset=dict(sites=sites[:1]))
