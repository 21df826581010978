# Three sites in, one out: small enough for two cores and a few minutes.
_base_ = ['./endoscopy-sites-128x128_heldout-polypgen-c1.py']
held_out_site = 'polypgen_c1'
training_sites = [
    s
    for s in _base_.sites
    if s['name'] in ('polypgen_c2', 'polypgen_c3', 'endotect_kvasir')
]
train_dataloader = dict(dataset=dict(sites=training_sites))
val_dataloader = dict(dataset=dict(sites=training_sites))
# Small batches, so that the log shows how far the test has come.
test_dataloader = dict(batch_size=4)
