from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseTTAModel, convert_sync_batchnorm
from mmengine.runner import Runner
from mmengine.runner.priority import get_priority
from mmseg.models import TIMMBackbone

from mcdrl_mmseg.engine.config_check import ConfigCheckError
from mcdrl_mmseg.engine.hooks import ConfigCheckHook, DatasetCheckHook
from mcdrl_mmseg.safe_loading import CheckpointError

NAME = 'configs/mcdrl/mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'


@pytest.fixture
def cfg(repo_root) -> Config:
    return Config.fromfile(repo_root / NAME)


@pytest.mark.reliability('bad input', "a wrong config under MMSegmentation's own tools")
def test_a_stock_runner_checks_a_shipped_config_before_it_trains(cfg, tmp_path):
    cfg.work_dir = str(tmp_path)
    cfg.val_evaluator = dict(type='IoUMetric')
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].dataset.lazy_init = True
    runner = Runner.from_cfg(cfg)
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, ConfigCheckHook))
    with pytest.raises(ConfigCheckError, match="save_best: monitors 'mDice_fg'"):
        hook.before_train(runner)


def test_the_config_is_checked_before_the_data():
    own, data = (
        get_priority(hook.priority) for hook in (ConfigCheckHook, DatasetCheckHook)
    )
    assert own < data


def test_a_runner_built_from_objects_passes_without_a_check():
    ConfigCheckHook().before_train(SimpleNamespace(cfg=Config({})))


def test_a_correct_config_passes(cfg):
    ConfigCheckHook().before_train(SimpleNamespace(cfg=cfg))


def test_a_config_that_was_checked_before_is_not_checked_again(cfg):
    cfg.optim_wrapper.optimizer.lr = 'fast'
    runner = SimpleNamespace(cfg=cfg)
    hook = ConfigCheckHook()
    with pytest.raises(ConfigCheckError, match='lr'):
        hook.before_train(runner)
    hook.checked = True
    hook.before_train(runner)


def test_a_stock_backbone_of_timm_keeps_its_activations_under_sync_bn():
    """Otherwise its features would be linear in several processes, without a word."""
    plain = TIMMBackbone('efficientnet_lite0', pretrained=False, out_indices=(1,))
    images = torch.randn(1, 3, 32, 32)
    expected = plain.eval()(images)
    # As the runner does before it calls the hook.
    runner = SimpleNamespace(model=convert_sync_batchnorm(plain))
    ConfigCheckHook().before_run(runner)
    torch.testing.assert_close(runner.model.eval()(images), expected)


class TwoLayers(torch.nn.Sequential):
    def _load_from_state_dict(self, state_dict, prefix, *args):
        # As modules do that convert older weights to their own form.
        if f'{prefix}old_bias' in state_dict:
            state_dict[f'{prefix}0.bias'] = state_dict.pop(f'{prefix}old_bias')[:2]
        super()._load_from_state_dict(state_dict, prefix, *args)

    def test_step(self, data):
        raise NotImplementedError


class MeanOfViews(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        raise NotImplementedError


@pytest.fixture
def tested():
    """Runs the hook as a test of a two-layer model does, from a state dict."""

    def run(change, train=False, tta=False):
        model = TwoLayers(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        state = {f'module.{k}': v.clone() for k, v in model.state_dict().items()}
        change(state)
        if tta:
            model = MeanOfViews(module=model)
        cfg = Config(dict(load_from='other.pth'))
        runner = SimpleNamespace(cfg=cfg, model=model)
        hook = ConfigCheckHook()
        hook.after_load_checkpoint(runner, dict(state_dict=state))
        if train:
            hook.before_train(runner)
        hook.before_val(runner)
        hook.before_test(runner)

    return run


@pytest.mark.parametrize('tta', [False, True])
@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (
            lambda s: s.pop('module.1.running_var'),
            r'1 of 7 weights are missing \(1.running_var\)',
        ),
        (
            lambda s: s.update({'module.0.weight': torch.zeros(3, 3)}),
            r'0 of 7 weights are missing, 1 have a different shape \(0.weight\)',
        ),
        (
            lambda s: s.clear(),
            r'6 of 7 weights are missing \(0.weight, 0.bias, 1.weight, ',
        ),
    ],
)
def test_a_test_of_a_model_whose_weights_stayed_random_is_refused(
    tested, change, told, tta
):
    with pytest.raises(CheckpointError, match=f'^other.pth does not fit.*{told}'):
        tested(change, tta=tta)


@pytest.mark.parametrize(
    'change',
    [
        lambda s: None,
        lambda s: s.pop('module.1.num_batches_tracked'),
        lambda s: s.update({'module.old_bias': s.pop('module.0.bias').repeat(2)}),
    ],
)
def test_a_test_of_a_checkpoint_that_fits_is_accepted(tested, change):
    tested(change)


def test_training_can_start_from_a_part_of_the_weights(tested):
    tested(lambda s: s.clear(), train=True)


def _part(**parts):
    module = torch.nn.Module()
    for name, part in parts.items():
        module.add_module(name, part)
    return module


@pytest.mark.parametrize('name', ['backbone', 'decode_head'])
def test_training_from_a_stock_checkpoint_with_other_weight_names_is_refused(
    name,
):
    """MMEngine would load none of them and train from random weights."""
    inner = dict(backbone='backbone', decode_head='predictor')[name]
    model = _part(**{name: _part(**{inner: torch.nn.Linear(3, 2)})})
    runner = SimpleNamespace(cfg=Config(dict(load_from='stock.pth')), model=model)
    hook = ConfigCheckHook()
    stock = _part(**{name: torch.nn.Linear(3, 2)})
    for state, told in ((stock.state_dict(), True), (model.state_dict(), False)):
        hook.after_load_checkpoint(runner, dict(state_dict=state))
        if told:
            expected = (
                rf'^stock.pth is a checkpoint of the stock model: 2 .*\({name}.bias, '
            )
            with pytest.raises(CheckpointError, match=expected):
                hook.before_train(runner)
        else:
            hook.before_train(runner)


@pytest.fixture
def labelled():
    """Runs the hook on a checkpoint of some classes, on data of others."""

    def run(trained, classes, stage, resume=False):
        model = torch.nn.Linear(3, 2)
        data = SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=classes)))
        runner = SimpleNamespace(
            cfg=Config({}),
            model=model,
            work_dir='work',
            _load_from=None if resume else 'best.pth',
            _resume=resume,
            **{f'{name}_dataloader': data for name in ('train', 'val', 'test')},
        )
        hook = ConfigCheckHook()
        meta = dict(dataset_meta=dict(classes=trained))
        hook.after_load_checkpoint(
            runner, dict(state_dict=model.state_dict(), meta=meta)
        )
        getattr(hook, f'before_{stage}')(runner)

    return run


TRAINED = ('background', 'polyp', 'nodule')


@pytest.mark.parametrize('stage', ['val', 'test'])
@pytest.mark.parametrize(
    'classes',
    [('background', 'nodule', 'polyp'), ('background', 'cyst', 'polyp')],
)
def test_a_test_on_data_whose_classes_have_other_labels_is_refused(
    labelled, stage, classes
):
    with pytest.raises(CheckpointError) as refused:
        labelled(TRAINED, classes, stage)
    assert str(refused.value).startswith(
        f'best.pth was trained with the classes {TRAINED}, but the data set has '
        f'{classes}: label 1 would'
    )


def test_a_run_is_not_resumed_on_data_whose_classes_have_other_labels(labelled):
    swapped = ('background', 'nodule', 'polyp')
    with pytest.raises(CheckpointError, match=r'^The checkpoint in work was trained'):
        labelled(TRAINED, swapped, 'train', resume=True)
    # Its head learns the labels of a new training anew.
    labelled(TRAINED, swapped, 'train')


@pytest.mark.parametrize(
    ('trained', 'classes'),
    [
        (TRAINED, TRAINED),
        (TRAINED, ('background', 'lesion', 'nodule')),
        (None, TRAINED),
        (TRAINED, None),
    ],
)
def test_classes_of_the_same_labels_or_of_other_names_are_tested(
    labelled, trained, classes
):
    labelled(trained, classes, 'test')
