import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from mcdrl_mmseg.models.tensor_cache import (
    CachingModule,
    ModuleCache,
    TensorCache,
    TensorPlaces,
)


@pytest.fixture
def linear():
    return nn.Linear(3, 2)


class Doubled:
    """Twice a weight, and how often it was computed."""

    def __init__(self, linear):
        self.linear = linear
        self.cache = TensorCache()
        self.runs = 0

    def compute(self):
        self.runs += 1
        return self.linear.weight * 2

    def __call__(self):
        return self.cache.get([self.linear.weight], self.compute)


def step(linear):
    linear.weight.grad = torch.ones_like(linear.weight)
    torch.optim.SGD(linear.parameters(), lr=1.0).step()


def load(linear):
    linear.load_state_dict(nn.Linear(3, 2).state_dict())


def assign(linear):
    linear.load_state_dict(nn.Linear(3, 2).state_dict(), assign=True)


def replace(linear):
    linear.weight = nn.Parameter(torch.ones(2, 3))


def put_into_other_memory(linear):
    linear.weight.data = torch.full((2, 3), 7.0)


def set_all_by_a_vector(linear):
    vector = parameters_to_vector(linear.parameters())
    vector_to_parameters(3 * vector.detach(), linear.parameters())


def write_in_inference_mode(linear):
    with torch.inference_mode():
        linear.weight.fill_(3)


def test_the_result_of_an_unchanged_source_is_computed_once(linear):
    doubled = Doubled(linear)
    first = doubled()
    assert doubled() is first and doubled.runs == 1
    assert torch.equal(first, linear.weight * 2) and not first.requires_grad


@pytest.mark.parametrize(
    'change',
    [
        step,
        load,
        assign,
        replace,
        put_into_other_memory,
        set_all_by_a_vector,
        write_in_inference_mode,
    ],
)
def test_the_result_of_a_changed_source_is_computed_again(linear, change):
    doubled = Doubled(linear)
    before = doubled().clone()
    change(linear)
    assert torch.equal(doubled(), linear.weight * 2)
    assert doubled.runs == 2 and not torch.equal(doubled(), before)


def test_a_result_is_computed_again_after_clear(linear):
    doubled = Doubled(linear)
    doubled()
    linear.weight.data.fill_(5)  # not counted as a change
    doubled.cache.clear()
    assert torch.equal(doubled(), torch.full((2, 3), 10.0))


def test_results_from_tensors_created_in_inference_mode_are_never_kept():
    with torch.inference_mode():
        doubled = Doubled(nn.Linear(3, 2))
        doubled()
        doubled.linear.weight.fill_(4)
        assert torch.equal(doubled(), torch.full((2, 3), 8.0))
    assert doubled.runs == 2


def test_a_result_kept_in_inference_mode_can_be_used_in_a_pass_with_gradients(linear):
    doubled = Doubled(linear)
    with torch.inference_mode():
        kept = doubled()
    x = torch.randn(4, 2, requires_grad=True)
    (x @ doubled()).sum().backward()
    torch.testing.assert_close(x.grad, kept.sum(dim=1).expand(4, 2))
    assert doubled.runs == 1


class Interrupted(nn.Linear):
    """A layer that runs something else, once, while its buffers are listed."""

    meanwhile = None

    def __getattribute__(self, name):
        happens = self.__dict__.pop('meanwhile', None) if name == '_buffers' else None
        if happens is not None:
            happens()
        return super().__getattribute__(name)


def test_a_thread_does_not_use_places_that_another_is_still_collecting():
    places, linear, seen = TensorPlaces(), Interrupted(3, 2), []
    linear.__dict__['meanwhile'] = lambda: seen.append(len(places.tensors(linear)))
    assert len(places.tensors(linear)) == 2
    assert seen == [2]


def test_a_result_is_computed_in_full_precision_under_autocast(linear):
    cache = TensorCache()
    x = torch.randn(4, 3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert linear(x).dtype == torch.bfloat16
        assert cache.get([linear.weight], lambda: linear(x)).dtype == torch.float32


@pytest.mark.parametrize(
    'clone', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_of_a_cache_start_without_its_results(linear, clone):
    cache = TensorCache()
    cache.get([linear.weight], lambda: 'old')
    assert clone(cache).get([linear.weight], lambda: 'new') == 'new'


def test_a_compiled_graph_computes_the_result_on_every_call(linear):
    """Even a write through ``.data``, which no counter records, is noticed there."""
    doubled = Doubled(linear)
    compiled = torch.compile(lambda: doubled(), backend='eager', fullgraph=True)
    compiled()
    linear.weight.data.add_(1)
    torch.testing.assert_close(compiled(), linear.weight * 2)


def test_places_return_the_current_tensors_without_the_batch_counter():
    norm, places = nn.BatchNorm1d(2), TensorPlaces()
    roots = (nn.Flatten(), norm, nn.Sequential(nn.Linear(2, 1, bias=False)))
    places.tensors(*roots)
    norm.weight, norm.running_var = nn.Parameter(torch.full((2,), 3.0)), torch.ones(2)
    tensors = places.tensors(*roots)
    assert tensors[0] is norm.weight and tensors[3] is norm.running_var
    # Without the number of batches, which no result of inference depends on.
    assert [tensor.shape for tensor in tensors] == [(2,)] * 4 + [(1, 2)]


def test_places_are_collected_again_after_modules_were_replaced_or_added(linear):
    block, places = nn.Sequential(nn.Sequential(nn.Linear(2, 1))), TensorPlaces()
    first = places.tensors(block)
    block[0][0] = linear
    assert places.tensors(block)[0] is linear.weight
    block[0].add_module('more', nn.Linear(1, 1))
    assert len(places.tensors(block)) == 4
    linear.register_buffer('scale', torch.ones(1))
    assert places.tensors(block)[2] is linear.scale
    assert places.tensors(linear)[0] is linear.weight is not first[0]


def test_places_report_whether_a_module_has_hooks(linear):
    block, places = nn.Sequential(linear), TensorPlaces()
    places.tensors(block)
    assert not places.have_hooks()
    handle = linear.register_forward_pre_hook(lambda *_: None)
    assert places.have_hooks()
    handle.remove()
    assert not places.have_hooks()


def test_places_report_norms_and_dropout_in_training_mode():
    linear, norm, dropout = nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout()
    block, places = nn.Sequential(linear, norm, dropout).eval(), TensorPlaces()
    for part, expected in ((linear, False), (norm, True), (dropout, True)):
        places.tensors(block)
        assert not places.in_training()
        part.train()
        assert places.in_training() == expected
        part.eval()


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_of_places_starts_empty(linear, copied):
    places = TensorPlaces()
    places.tensors(linear)
    assert vars(copied(places)) == vars(TensorPlaces())


class Doubling(CachingModule):
    """Keeps twice the weight of a layer, and counts how often it is computed."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.runs, self._cache = layer, 0, ModuleCache()

    def forward(self) -> torch.Tensor:
        def compute() -> torch.Tensor:
            self.runs += 1
            return 2 * self.layer.weight

        return self._cache.get('twice', compute, [self.layer])


def cast(module: Doubling) -> None:
    module.double()


def write_through_data_and_evaluate(module: Doubling) -> None:
    module.layer.weight.data.add_(1)
    module.eval()


@torch.no_grad()
@pytest.mark.parametrize('change', [cast, write_through_data_and_evaluate])
def test_a_module_drops_its_results_after_a_cast_and_a_change_of_mode(linear, change):
    module = Doubling(linear)
    module()
    module()
    assert module.runs == 1
    change(module)
    assert torch.equal(module(), 2 * linear.weight)
    assert copy.deepcopy(module)._cache._results == {}


def test_a_cache_reports_whether_its_result_may_replace_a_forward_pass(linear):
    norm, cache = nn.BatchNorm1d(2).eval(), ModuleCache()
    assert cache.may_replace(linear, norm)
    with linear.register_forward_hook(lambda *_: None):
        assert not cache.may_replace(linear, norm)
    norm.train()
    assert not cache.may_replace(linear, norm) and cache.in_training(norm)
    assert cache.may_replace(linear)
