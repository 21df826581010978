# MCDRL on a stock SegFormer that is already trained: its backbone is frozen, its head
# continues to train, and the intervention between them is new.
_base_ = ['./own_segformer.py', '../_base_/prompts/endoscopy.py']
custom_imports = dict(imports=['mcdrl_mmseg'], allow_failed_imports=False)
segformer = '{{$SEGFORMER_CHECKPOINT:work_dirs/own_segformer/iter_5000.pth}}'
model = __import__('mcdrl_mmseg').mcdrl_over(
    {
        **_base_.model,
        **{
            part: dict(
                **_base_.model[part],
                init_cfg=dict(
                    type='Pretrained', checkpoint=segformer, prefix=f'{part}.'
                ),
            )
            for part in ('backbone', 'decode_head')
        },
    },
    '{{ fileDirname }}/../_base_/mcdrl.py',
    prompts={**_base_.prompts, 'classes': ['polyp']},
)
model['backbone']['frozen'] = True
# The network is already trained: the intervention needs no warm-up.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=0, by_epoch=False),
    dict(type='SiteReferenceHook'),
]
