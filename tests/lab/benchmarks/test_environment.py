import os
import platform
from datetime import date

import pytest
import torch

from mcdrl_lab.benchmarks import environment


def test_environment_records_date_machine_and_versions():
    found = environment.environment('cpu')
    assert found['date'] == date.today().isoformat()
    assert found['device'] == 'cpu'
    assert found['cores'] == os.cpu_count()
    assert found['threads'] == torch.get_num_threads() == 1
    assert found['python'] == platform.python_version()
    assert found['versions']['torch'] == f'torch {torch.__version__}'
    assert {'mmseg', 'mmcv', 'open_clip'} <= found['versions'].keys()
    assert found['cpu']


def test_a_gpu_is_recorded_by_its_name(monkeypatch):
    names = {'cuda:1': 'GPU of the second slot'}
    monkeypatch.setattr(torch.cuda, 'get_device_name', names.__getitem__)
    assert environment.environment('cuda:1')['device'] == 'GPU of the second slot'


@pytest.mark.parametrize(
    ('text', 'name'),
    [
        (
            'processor\t: 0\nmodel name\t: A CPU: 2 GHz\nmodel name\t: B\n',
            'A CPU: 2 GHz',
        ),
        ('processor\t: 0\n', 'the machine'),
        (None, 'the machine'),
    ],
)
def test_the_cpu_is_recorded_by_its_name_in_the_system(
    tmp_path, monkeypatch, text, name
):
    file = tmp_path / 'cpuinfo'
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(environment, 'Path', {'/proc/cpuinfo': file}.__getitem__)
    monkeypatch.setattr(platform, 'processor', lambda: '')
    monkeypatch.setattr(platform, 'machine', lambda: 'the machine')
    assert environment._cpu_name() == name


def test_the_environment_is_written_as_one_sentence():
    described = dict(
        date='2026-01-02',
        device='cpu',
        cpu='A CPU',
        cores=8,
        threads=4,
        python='3.11.7',
        versions=dict(torch='torch 2.0', mmseg='mmseg 1.2', open_clip='open_clip 3.0'),
    )
    assert environment.sentence(described) == (
        '2026-01-02, cpu; A CPU, 8 cores, 4 threads; Python 3.11.7, torch 2.0, '
        'mmseg 1.2, open_clip 3.0'
    )
