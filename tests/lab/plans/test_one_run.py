from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mcdrl_lab.plans.one_run import carry_out
from mcdrl_lab.plans.run_folder import RunFolder


@pytest.mark.parametrize(
    ('left', 'resumed'),
    [
        ([], False),
        (['epoch_1.pth', 'best_mDice_fg_epoch_1.pth'], True),
        # Killed before the first checkpoint to resume from: given --resume,
        # tools/train.py starts from the beginning.
        (['best_mDice_fg_epoch_1.pth'], True),
    ],
)
def test_training_is_called_with_resume_if_an_earlier_attempt_left_checkpoints(
    tmp_path, left, resumed
):
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=2),
            default_hooks=dict(checkpoint=dict(type='AtomicCheckpointHook')),
            test_evaluator=dict(type='SiteLesionMetric'),
        )
    )
    item = SimpleNamespace(
        cfg=cfg,
        origin={},
        iters_per_epoch=1,
        check_data=lambda: None,
    )
    folder = RunFolder(tmp_path / 'run')
    folder.prepare(item.cfg, item.origin)
    for name in left:
        (folder.path / name).touch()

    def stage(name, arguments):
        yield name, arguments

    name, arguments = next(carry_out(item, folder, stage))
    assert name == 'train'
    assert arguments[1:3] == ['--work-dir', str(folder.path)]
    assert arguments[3:] == ['--resume'] * resumed
