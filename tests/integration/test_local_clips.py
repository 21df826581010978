"""Models like BiomedCLIP and SigLIP 2, from folders, used by the tools."""

import math

import pytest
from local_clips import EMBED_DIMS, write_biomedclip, write_siglip2

_BASE = 'mcdrl/mcdrl_clip-tiny-vit_fcn_5e_endoscopy-sites-128x128.py'
_ONE_STEP = [
    'train_dataloader.dataset.max_images=1',
    'train_dataloader.batch_size=5',
    'val_dataloader.dataset.max_images=1',
    'default_hooks.logger.interval=1',
    'train_cfg.max_epochs=1',
    *(
        f'{part}_dataloader.{key}'
        for part in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')
    ),
]
_MODEL = """
custom_imports = dict(imports=['mcdrl_mmseg', 'mcdrl_probe', 'local_clips'])
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=0),
]
model = dict(
    data_preprocessor=dict(mean={mean}, std={std}),
    backbone=dict(
        model_name={name!r}, pretrained=None, dense_mode='clearclip', frozen={frozen}
    ),
    decode_head=dict(
        in_channels={dims},
        predictor=dict(in_channels={dims}),
        dictionary=dict(
            embed_dims={dims},
            # Words that the folders' small tokenizer knows.
            prompts=dict(
                confounders=dict(_delete_=True, quality=['blur', 'ulcer']),
                background_prompts=['image', 'the image'],
            ),
        ),
    ),
)
"""
_OPENAI = dict(
    mean=[122.7709383, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.32316305],
)
_HALF = dict(mean=[127.5] * 3, std=[127.5] * 3)

pytest.importorskip('transformers', reason='the extra [hf] is not installed')


@pytest.fixture(scope='module')
def bench(new_bench, drawn_sites):
    bench = new_bench('local_clips', drawn_sites)
    bench.options = _ONE_STEP
    return bench


def _trained(bench, shape: str, **entries):
    writer = {'biomedclip': write_biomedclip, 'siglip2': write_siglip2}[shape]
    name = writer(bench.folder / shape)
    config = bench.config(
        shape, _MODEL.format(name=name, dims=EMBED_DIMS, **entries), base=_BASE
    )
    return config, bench.tool(f'{shape}_run', 'train.py', config, fresh=False)


@pytest.mark.parametrize(
    ('shape', 'entries'),
    [
        ('biomedclip', dict(_OPENAI, frozen=False)),
        ('siglip2', dict(_HALF, frozen=True)),
    ],
)
def test_a_model_from_a_folder_is_trained_for_a_step_and_tested(bench, shape, entries):
    config, run = _trained(bench, shape, **entries)
    (step, *_) = [line for line in run.scalars() if 'loss' in line]
    assert math.isfinite(step['loss'])
    assert 'Confounder dictionary built' in run.output
    state = run.checkpoint('epoch_1.pth')['state_dict']
    assert state['decode_head.dictionary.built']
    assert any(key.startswith('backbone.tower.trunk.blocks.') for key in state)
    assert all(
        value.isfinite().all() for value in state.values() if value.is_floating_point()
    )
    checkpoint = run.work_dir / 'epoch_1.pth'
    tested = bench.tool(f'{shape}_tested', 'test.py', config, checkpoint, fresh=False)
    assert 'mDice_fg' in tested.test_metrics()


def test_the_normalisation_of_another_model_is_an_error_before_training(bench):
    name = write_siglip2(bench.folder / 'wrong', weights=False)
    entries = dict(_OPENAI, frozen=True)
    config = bench.config(
        'wrong', _MODEL.format(name=name, dims=EMBED_DIMS, **entries), base=_BASE
    )
    run = bench.tool('wrong_run', 'train.py', config, check=False, fresh=False)
    assert run.returncode != 0
    assert 'was trained with mean=[127.5, 127.5, 127.5]' in run.output
    assert 'Traceback' not in run.output
