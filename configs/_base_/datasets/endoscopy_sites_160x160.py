_base_ = ['./endoscopy_sites.py']
image_size = (160, 160)
train_pipeline = [
    {**t, 'scale': image_size} if t['type'] == 'Resize' else t
    for t in _base_.train_pipeline
]
test_pipeline = [
    {**t, 'scale': image_size} if t['type'] == 'Resize' else t
    for t in _base_.test_pipeline
]
tta_pipeline = [
    _base_.tta_pipeline[0],
    dict(
        type='TestTimeAug',
        transforms=[[test_pipeline[1]], *_base_.tta_pipeline[1]['transforms'][1:]],
    ),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
