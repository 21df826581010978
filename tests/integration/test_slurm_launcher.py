"""Processes that srun of a real Slurm starts on a machine without a GPU."""

import subprocess
from pathlib import Path

import pytest
from slurm import slurm  # noqa: F401

_TOOLS = Path(__file__).resolve().parents[2] / 'tools'
_STEPS = (
    'train_cfg.max_epochs=1',
    'custom_hooks.1.begin=0',
    'custom_hooks.1.ramp=0',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.max_images=4',
    'val_dataloader.dataset.max_images=1',
    'default_hooks.logger.interval=1',
)


@pytest.fixture(scope='module')
def bench(new_bench, drawn_sites, slurm):  # noqa: F811
    return new_bench('slurm', drawn_sites)


def words(bench, name):
    config = bench.config('model', 'load_from = None')
    folder = bench.folder / name
    return [
        _TOOLS / 'slurm_train.sh',
        *('test', name, config, '--work-dir', folder, '--cfg-options', *_STEPS),
    ]


def test_two_jobs_of_two_processes_train_at_the_same_time(bench):
    """MMEngine's launcher would call CUDA, and give both jobs port 29500."""
    environment = dict(GPUS='2', GPUS_PER_NODE='0', CPUS_PER_TASK='1')
    jobs = []
    for name in ('first', 'second'):
        inherited = bench.environment(bench.folder / f'probe_{name}')
        with open(bench.folder / f'{name}.log', 'w') as log:
            jobs.append(
                subprocess.Popen(
                    [str(word) for word in words(bench, name)],
                    cwd=bench.folder,
                    env={**inherited, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    codes = [job.wait(600) for job in jobs]
    logs = [(bench.folder / f'{n}.log').read_text() for n in ('first', 'second')]
    assert codes == [0, 0], '\n'.join(text[-3000:] for text in logs)
    for name in ('first', 'second'):
        # MMEngine's name for the number of processes; its report is only in the file.
        (log,) = (bench.folder / name).glob('*/*.log')
        report = log.read_text()
        assert 'Distributed training: True' in report
        assert 'GPU number: 2' in report
        assert (bench.folder / name / 'epoch_1.pth').is_file()
