import pickle
import zipfile

import pytest
import torch
from torch import nn

from mcdrl_mmseg.clip.torchscript import is_torchscript, torchscript_state_dict


class Part(nn.Module):
    """Parameters, buffers of all kinds, and a tensor that is neither."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer('count', torch.tensor(7))
        self.register_buffer('empty', torch.zeros(0, 4))
        self.register_buffer('turned', torch.arange(6.0).view(2, 3).t()[1:])
        self.mask = torch.full((2, 2), 5.0)
        self.sizes = [1, 2]
        self.spare = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) + self.mask.sum() * self.sizes[0]


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Part()
        self.parts = nn.ModuleList([Part(), nn.Linear(2, 2).half()])
        self.again = self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.parts[0](x) + self.again(x)


@pytest.mark.parametrize('traced', [True, False])
def test_the_state_dict_equals_that_of_torch_jit_load(tmp_path, traced):
    model = Whole().eval()
    path = tmp_path / 'whole.pt'
    if traced:
        torch.jit.trace(model, torch.zeros(1, 2, 2, 2)).save(path)
    else:
        torch.jit.script(model).save(path)
    assert is_torchscript(path)
    state = torchscript_state_dict(path)
    expected = torch.jit.load(path).state_dict()
    assert state.keys() == expected.keys()
    assert 'parts.1.weight' in state
    assert 'first.mask' not in state
    for key, value in expected.items():
        assert state[key].dtype == value.dtype
        assert torch.equal(state[key], value), key


class Counted(nn.Module):
    """Restoring its state fails, which shows whether its code was run."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        assert state[1], 'it was run'
        self.weight = state[0]
        self.training = state[1]


@pytest.mark.reliability('security', 'a TorchScript archive that runs when it is read')
def test_no_code_in_the_archive_is_run(tmp_path):
    path = tmp_path / 'counted.pt'
    torch.jit.script(Counted().eval()).save(path)
    with pytest.raises(torch.jit.Error, match='it was run'):
        torch.jit.load(path)
    assert torchscript_state_dict(path) == {}


def archive_of(path, data: bytes, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('a/constants.pkl', b'')
        archive.writestr('a/data.pkl', data)
    return path


@pytest.mark.parametrize(
    'content', [print, pickle.loads, torch.load, torch.nn.Linear, zipfile.ZipFile]
)
def test_pickled_objects_other_than_modules_and_tensors_are_refused(tmp_path, content):
    path = archive_of(tmp_path / 'odd.pt', pickle.dumps(content, protocol=2))
    with pytest.raises(pickle.UnpicklingError, match=f'{content.__name__} was not'):
        torchscript_state_dict(path)


def test_compressed_parts_are_refused(tmp_path):
    data = pickle.dumps('a' * 1_000_000)
    path = archive_of(tmp_path / 'bomb.pt', data, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r'a/data\.pkl is compressed'):
        torchscript_state_dict(path)


def test_an_archive_without_a_module_is_refused(tmp_path):
    path = archive_of(tmp_path / 'odd.pt', pickle.dumps([1], protocol=2))
    with pytest.raises(ValueError, match='no module'):
        torchscript_state_dict(path)


def test_code_that_unpacks_to_an_excessive_size_is_refused(tmp_path):
    path, odd = tmp_path / 'whole.pt', tmp_path / 'odd.pt'
    torch.jit.script(Whole().eval()).save(path)
    with (
        zipfile.ZipFile(path) as source,
        zipfile.ZipFile(odd, 'w', zipfile.ZIP_DEFLATED) as target,
    ):
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith('.py'):
                content += b'#' * 17 * 1024**2
            target.writestr(
                info, content, zipfile.ZIP_DEFLATED if content[-1:] == b'#' else 0
            )
    with pytest.raises(ValueError, match='unpacks to'):
        torchscript_state_dict(odd)
