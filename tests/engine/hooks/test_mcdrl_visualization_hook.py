from types import SimpleNamespace
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.structures import PixelData
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from torch import nn

from mcdrl_mmseg.engine.hooks import MCDRLVisualizationHook
from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.confounder_attention import image_attention

WIDTH = 8
GRID = (4, 6)
IMAGE = (32, 48)


def make_head(prompts, intervention=(), ratio=0.5, **arguments):
    torch.manual_seed(0)
    head = CausalInterventionHead(
        predictor=dict(
            type='FCNHead',
            in_channels=WIDTH,
            channels=WIDTH,
            in_index=0,
            num_convs=0,
            concat_input=False,
            num_classes=2,
        ),
        dictionary=dict(type='ConfounderDictionary', prompts=prompts, embed_dims=WIDTH),
        in_channels=WIDTH,
        region_selector=dict(type='CLIPRegionSelector', ratio=ratio),
        intervention=dict(type='CausalIntervention', num_heads=2, **dict(intervention)),
        **arguments,
    )
    head.dictionary.fill(torch.randn(len(head.dictionary.texts), WIDTH), 'ab' * 32)
    return head.eval()


def recording_visualizer():
    """A visualizer whose only backend is itself, so that its calls are recorded."""
    visualizer = MagicMock()
    visualizer._vis_backends = {'local': visualizer}
    return visualizer


@pytest.fixture
def paths(tmp_path):
    """Three images of site a, two of site b."""
    rng = np.random.default_rng(0)
    made = []
    for site, count in (('a', 3), ('b', 2)):
        (tmp_path / site).mkdir()
        for number in range(count):
            path = tmp_path / site / f'{number}.png'
            cv2.imwrite(str(path), rng.integers(0, 255, (*IMAGE, 3), np.uint8))
            made.append((site, str(path)))
    return made


@pytest.fixture
def make_runner(paths, prompts):
    def make(head=None, epoch=1, loop=EpochBasedTrainLoop):
        dataset = [dict(site=site, img_path=path) for site, path in paths]
        train_loop = None
        if loop is not None:
            train_loop = MagicMock(spec=loop)
            train_loop.configure_mock(
                epoch=epoch, iter=epoch, max_epochs=5, max_iters=5, val_interval=1
            )
        return SimpleNamespace(
            model=nn.ModuleDict({'head': head or make_head(prompts)}),
            val_dataloader=SimpleNamespace(dataset=Infos(dataset)),
            val_loop=MagicMock(),
            visualizer=recording_visualizer(),
            logger=MagicMock(),
            _train_loop=train_loop,
        )

    return make


class Infos(list):
    """A dataset with only the parts that the hook uses."""

    def get_data_info(self, index):
        return dict(self[index])


def inputs_of(number, batch=1):
    generator = torch.Generator().manual_seed(number)
    dense = torch.randn(batch, WIDTH, *GRID, generator=generator)
    return (dense, torch.zeros(batch, WIDTH, 1, 1))


def sample_of(site, path, **extra):
    sample = SegDataSample(
        pred_sem_seg=PixelData(data=torch.zeros(1, *IMAGE, dtype=torch.long)),
        gt_sem_seg=PixelData(data=torch.zeros(1, *IMAGE, dtype=torch.long)),
    )
    sample.set_metainfo(dict(site=site, img_path=path, **extra))
    return sample


@torch.no_grad()
def validate(hook, runner, paths, windows=1):
    """Validate with one image per batch; return the names of the drawn pictures."""
    runner.visualizer.reset_mock()
    hook.before_val_epoch(runner)
    for number, (site, path) in enumerate(paths):
        for window in range(windows):
            runner.model['head'].intervene(inputs_of(number + 100 * window))
        hook.after_val_iter(runner, number, outputs=[sample_of(site, path)])
    hook.after_val_epoch(runner)
    return [call.args[0] for call in runner.visualizer.add_image.call_args_list]


def test_images_of_every_site_and_the_profile_are_drawn(make_runner, paths):
    runner = make_runner()
    assert validate(MCDRLVisualizationHook(), runner, paths) == [
        'mcdrl_a_1',
        'mcdrl_b_1',
        'mcdrl_attention',
    ]
    for call in runner.visualizer.add_image.call_args_list:
        _, image, step = call.args
        assert image.dtype == np.uint8 and image.shape[2] == 3
        assert step == 1


def test_images_with_the_same_name_in_different_folders_are_all_drawn(
    make_runner, paths
):
    runner, paths = make_runner(), [('all', path) for _, path in paths]
    runner.val_dataloader.dataset[:] = [
        dict(site=site, img_path=path) for site, path in paths
    ]
    assert validate(MCDRLVisualizationHook(num_images=5), runner, paths) == [
        *('mcdrl_all_a_0', 'mcdrl_all_a_1', 'mcdrl_all_a_2'),
        *('mcdrl_all_b_0', 'mcdrl_all_b_1', 'mcdrl_attention'),
    ]


@torch.no_grad()
def test_maps_of_a_padded_input_are_cropped_to_the_image(
    make_runner, paths, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        'mcdrl_mmseg.visualization.validation_picture.ValidatedImage',
        lambda *values: drawn.append(values[-1]),
    )
    hook, runner = MCDRLVisualizationHook(), make_runner()
    site, path = paths[1]
    hook.before_val_epoch(runner)
    runner.model['head'].intervene(inputs_of(0))
    padding = dict(img_padding_size=(0, 48, 0, 32), pad_shape=(64, 96))
    hook.after_val_iter(runner, 0, outputs=[sample_of(site, path, **padding)])
    hook._remove_forward_hooks()
    assert drawn == [(0, 0.5, 0, 0.5)]


def test_the_same_images_are_drawn_in_every_epoch(make_runner, paths):
    hook = MCDRLVisualizationHook(num_images=2)
    runner = make_runner()
    first = validate(hook, runner, paths)
    assert first[:-1] == ['mcdrl_a_0', 'mcdrl_a_2', 'mcdrl_b_0', 'mcdrl_b_1']
    runner._train_loop.epoch = 2
    assert validate(hook, runner, paths[::-1]) == first


def test_images_to_draw_can_be_named(make_runner, paths):
    hook = MCDRLVisualizationHook(images=['b/0.png'])
    assert validate(hook, make_runner(), paths) == ['mcdrl_b_0', 'mcdrl_attention']


@pytest.mark.parametrize(('name', 'count'), [('c/0.png', 0), ('0.png', 2)])
def test_a_name_that_does_not_match_one_image_is_an_error_before_training(
    make_runner, name, count
):
    with pytest.raises(
        ValueError, match=f'{name}.*one validation image .* found {count}'
    ):
        MCDRLVisualizationHook(images=[name]).before_train(make_runner())


def test_the_logged_attention_of_a_site_is_the_mean_over_its_images(
    make_runner, paths, prompts
):
    head = make_head(prompts)
    runner = make_runner(head)
    validate(MCDRLVisualizationHook(), runner, paths)
    scalars = runner.visualizer.add_scalars.call_args.args[0]
    assert runner.visualizer.add_scalars.call_args.kwargs == {'step': 1}
    with torch.no_grad():
        rows = [
            image_attention(head, head.intervene(inputs_of(n)).region_tokens)[0]
            for n in range(5)
        ]
    expected = {'a': torch.stack(rows[:3]).mean(0), 'b': torch.stack(rows[3:]).mean(0)}
    for site, values in expected.items():
        for name, value in zip(('glare', 'dark', 'blur'), values.tolist()):
            assert scalars[f'attention/{site}/{name}'] == pytest.approx(value, rel=1e-5)
    assert len(scalars) == 6


def test_the_drawn_maps_are_those_of_the_forward_pass(
    make_runner, paths, prompts, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        'mcdrl_mmseg.visualization.validation_picture.validation_picture',
        lambda image, result, names, title: drawn.append((image, result)) or Figure(),
    )
    head = make_head(prompts)
    validate(MCDRLVisualizationHook(images=['b/0.png']), make_runner(head), paths)
    ((image, result),) = drawn
    np.testing.assert_array_equal(image, cv2.imread(paths[3][1])[..., ::-1])
    with torch.no_grad():
        state = head.intervene(inputs_of(3))
    np.testing.assert_allclose(
        result.similarity, state.similarity[0].amax(dim=0), rtol=1e-6
    )
    assert result.kept.shape == GRID
    assert sorted(np.flatnonzero(result.kept)) == sorted(state.indices[0].tolist())


class Figure:
    """Stands for a Matplotlib figure."""

    def savefig(self, file, **_):
        file.write(cv2.imencode('.png', np.zeros((2, 2, 3), np.uint8))[1].tobytes())


def test_attention_of_several_windows_is_averaged_and_no_map_is_drawn(
    make_runner, paths, prompts, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        'mcdrl_mmseg.visualization.validation_picture.validation_picture',
        lambda image, result, names, title: drawn.append(result) or Figure(),
    )
    head = make_head(prompts)
    validate(
        MCDRLVisualizationHook(images=['a/0.png']), make_runner(head), paths, windows=2
    )
    (result,) = drawn
    assert result.similarity is None and result.kept is None
    with torch.no_grad():
        both = [
            image_attention(head, head.intervene(inputs_of(n)).region_tokens)[0]
            for n in (0, 100)
        ]
    np.testing.assert_allclose(result.attention, (both[0] + both[1]) / 2, rtol=1e-5)


@pytest.mark.parametrize(
    ('interval', 'epochs'), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])]
)
@pytest.mark.parametrize('loop', [EpochBasedTrainLoop, IterBasedTrainLoop])
def test_only_every_nth_validation_and_the_last_are_drawn(
    make_runner, paths, interval, epochs, loop
):
    hook = MCDRLVisualizationHook(interval=interval)
    drawn = [
        epoch
        for epoch in range(1, 6)
        if validate(hook, make_runner(epoch=epoch, loop=loop), paths)
    ]
    assert drawn == epochs


def test_a_validation_outside_training_is_drawn(make_runner, paths):
    assert validate(MCDRLVisualizationHook(interval=3), make_runner(loop=None), paths)


def test_no_forward_hook_is_registered_for_a_validation_that_is_not_drawn(
    make_runner, paths
):
    hook = MCDRLVisualizationHook(interval=2)
    runner = make_runner(epoch=1)
    hook.before_train(runner)
    modules = list(runner.model.modules())
    assert not any(module._forward_hooks for module in modules)
    hook.before_val_epoch(runner)
    assert not any(module._forward_hooks for module in modules)
    runner._train_loop.epoch = 2
    hook.before_val_epoch(runner)
    assert sum(len(module._forward_hooks) for module in modules) == 2
    # After an interrupted validation, one that is not drawn.
    runner._train_loop.epoch = 3
    hook.before_val_epoch(runner)
    assert not any(module._forward_hooks for module in modules)


def test_forward_hooks_are_removed_after_a_drawn_validation(make_runner, paths):
    runner = make_runner()
    validate(MCDRLVisualizationHook(), runner, paths)
    assert not any(module._forward_hooks for module in runner.model.modules())


@pytest.mark.parametrize(
    'intervention', [dict(approximation='expectation'), dict(attend_to='self')]
)
def test_a_head_without_trained_attention_has_no_profile(
    make_runner, paths, prompts, intervention
):
    runner = make_runner(make_head(prompts, intervention))
    assert validate(MCDRLVisualizationHook(), runner, paths) == [
        'mcdrl_a_1',
        'mcdrl_b_1',
    ]
    runner.visualizer.add_scalars.assert_not_called()


def test_a_model_without_the_head_gives_one_warning_and_nothing_is_drawn(
    make_runner, paths
):
    runner = make_runner()
    runner.model = nn.ModuleDict({'head': nn.Linear(1, 1)})
    hook = MCDRLVisualizationHook()
    hook.before_train(runner)
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, outputs=[sample_of(*paths[0])])
    hook.after_val_epoch(runner)
    runner.logger.warning.assert_called_once()
    assert 'no CausalInterventionHead' in runner.logger.warning.call_args.args[0]
    runner.visualizer.add_image.assert_not_called()


def test_a_run_without_validation_gives_a_warning(make_runner):
    runner = make_runner()
    runner.val_loop = runner.val_dataloader = None
    MCDRLVisualizationHook().before_train(runner)
    assert 'this run has no validation' in runner.logger.warning.call_args.args[0]


@pytest.mark.parametrize('arguments', [dict(num_images=-1), dict(interval=0)])
def test_options_out_of_range_are_an_error(arguments):
    with pytest.raises(ValueError, match='MCDRLVisualizationHook: num_images='):
        MCDRLVisualizationHook(**arguments)


def test_the_hook_is_registered_with_its_defaults():
    hook = HOOKS.build(dict(type='MCDRLVisualizationHook', images='x.png'))
    assert (hook.num_images, hook.images, hook.interval) == (1, ['x.png'], 1)
