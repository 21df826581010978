"""Causal intervention against loops in float64 NumPy."""

import math

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from torch.nn.utils import prune
from torch.testing import assert_close

from mcdrl_mmseg.models import CausalIntervention
from mcdrl_mmseg.models.causal_intervention import (
    causal_intervention,
    remove_confounder_span,
)

PRIOR = torch.tensor([0.5, 0.3, 0.2])
UNIFORM = torch.full((3,), 1 / 3)


def build(num_layers=1, **kwargs) -> CausalIntervention:
    """Width 6, dictionary of width 4, two heads; weights far from zero."""
    kwargs = {'embed_dims': 6, 'dictionary_dims': 4, 'num_heads': 2, **kwargs}
    module = CausalIntervention(num_layers=num_layers, **kwargs).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return module


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(2, 5, 6, dtype=torch.float64)


def array(tensor):
    return tensor.detach().numpy()


def linear(x, layer):
    return x @ array(layer.weight).T + array(layer.bias)


def layer_norm(x, norm):
    mean = x.mean(-1, keepdims=True)
    var = x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + norm.eps) * array(norm.weight) + array(norm.bias)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def reference_layer(layer, tokens, entries, prior):
    """softmax(q k^T / sqrt(c_head) + log P) V for one image: (N, c), (M, d)."""
    query = linear(layer_norm(tokens, layer.query_norm), layer.query)
    key, value = linear(entries, layer.key), linear(entries, layer.value)
    heads, weights = [], []
    for q, k, v in zip(*(np.split(x, layer.num_heads, 1) for x in (query, key, value))):
        logits = q @ k.T / math.sqrt(q.shape[1])
        unnormalised = np.exp(logits) * prior
        weight = unnormalised / unnormalised.sum(axis=1, keepdims=True)
        heads.append(weight @ v)
        weights.append(weight)
    out = tokens + linear(np.concatenate(heads, axis=1), layer.out)
    norm, first, _, second = layer.ffn
    hidden = gelu(linear(layer_norm(out, norm), first))
    return out + linear(hidden, second), np.mean(weights, axis=0)


def reference(module, tokens, entries, prior):
    """The attention form on a batch, and the weights' mean over layers and heads."""
    entries = layer_norm(array(entries), module.entry_norm)
    results, weights = [], []
    for image in array(tokens):
        found = []
        for layer in module.layers:
            image, weight = reference_layer(layer, image, entries, np.asarray(prior))
            found.append(weight)
        results.append(image)
        weights.append(np.mean(found, axis=0))
    return np.stack(results), np.stack(weights)


@pytest.mark.parametrize('num_layers', [1, 3])
@pytest.mark.parametrize('prior', [UNIFORM, PRIOR])
def test_attention_equals_float64_reference(tokens, entries, num_layers, prior):
    module = build(num_layers)
    expected, _ = reference(module, tokens, entries, prior)
    result = module(tokens, entries, prior.double())
    np.testing.assert_allclose(array(result), expected, rtol=1e-6)


def test_narrow_attention_equals_float64_reference(tokens, entries):
    module = build(2, attention_dims=4, ffn_ratio=0.5)
    assert module.layers[0].query.out_features == 4
    assert module.layers[0].ffn[1].out_features == 3
    expected, _ = reference(module, tokens, entries, PRIOR)
    result = module(tokens, entries, PRIOR.double())
    np.testing.assert_allclose(array(result), expected, rtol=1e-6)


def test_uniform_prior_gives_plain_attention(tokens, entries):
    module = build(3)
    plain = tokens
    for layer in module.layers:
        plain = layer(plain, module.entry_norm(entries).unsqueeze(0), None)
    assert_close(module(tokens, entries, UNIFORM.double()), plain)


@pytest.mark.parametrize('num_layers', [1, 3])
def test_expectation_is_the_weighted_sum_over_single_entry_dictionaries(
    tokens, entries, num_layers
):
    """sum_m P(z_m) A(F, z_m), each A the attention form that knows z_m alone."""
    module = build(num_layers, approximation='expectation')
    expected = sum(
        float(p) * reference(module, tokens, entries[m : m + 1], [1.0])[0]
        for m, p in enumerate(PRIOR.double())
    )
    result = module(tokens, entries, PRIOR.double())
    np.testing.assert_allclose(array(result), expected, rtol=1e-6)


def test_expectation_and_attention_give_different_results(tokens, entries):
    attention = build(2)
    expectation = build(2, approximation='expectation')
    expectation.load_state_dict(attention.state_dict())
    prior = PRIOR.double()
    gap = attention(tokens, entries, prior) - expectation(tokens, entries, prior)
    assert gap.abs().max() > 0.1


def test_all_forms_agree_on_a_dictionary_of_one_entry(tokens, entries):
    attention = build(2)
    one, certain = entries[:1], torch.ones(1, dtype=torch.float64)
    for approximation in ('expectation', 'sampling'):
        other = build(2, approximation=approximation).train()
        other.load_state_dict(attention.state_dict())
        assert_close(other(tokens, one, certain), attention(tokens, one, certain))


def test_intervene_on_returns_one_result_per_entry_in_their_order(tokens, entries):
    module = build(2)
    each = module.intervene_on(tokens, entries)
    assert each.shape == (2, 3, 5, 6)
    for m in range(3):
        expected, _ = reference(module, tokens, entries[m : m + 1], [1.0])
        np.testing.assert_allclose(array(each[:, m]), expected, rtol=1e-6)


def test_sampling_in_training_averages_to_the_expectation(tokens, entries):
    """Over n draws the mean is off by at most 5 standard errors."""
    module = build(2, approximation='sampling', num_samples=1).train()
    draws = 4000
    batch = tokens[:1].expand(draws, -1, -1)
    with torch.no_grad():
        sampled = module(batch, entries, PRIOR.double())
        expected = module.eval()(tokens[:1], entries, PRIOR.double())[0]
    error = (sampled.mean(dim=0) - expected).abs()
    assert (error <= 5 * sampled.std(dim=0) / draws**0.5 + 1e-9).all()
    # Drawn from P(z), and not one of the other distributions on three entries.
    wrong = module(tokens[:1], entries, UNIFORM.double()).detach()[0]
    assert error.norm() < (wrong - expected).norm() / 3


def test_sampling_draws_one_entry_for_each_image(tokens, entries):
    module = build(2, approximation='sampling').train()
    batch = tokens[:1].expand(40, -1, -1)
    each = module.intervene_on(tokens[:1], entries)[0]
    drawn = module(batch, entries, PRIOR.double())
    distances = (drawn.unsqueeze(1) - each.unsqueeze(0)).abs().amax(dim=(2, 3))
    assert (distances.amin(dim=1) < 1e-12).all()
    assert distances.argmin(dim=1).unique().tolist() == [0, 1, 2]


def test_sampling_averages_over_several_draws(tokens, entries):
    module = build(2, approximation='sampling').train()
    batch = tokens[:1].expand(400, -1, -1)
    spread = {}
    for samples in (1, 16):
        module.num_samples = samples
        with torch.no_grad():
            spread[samples] = module(batch, entries, PRIOR.double()).std(dim=0).mean()
    # 1 / sqrt(16), within the spread of an estimate from 400 draws.
    assert float(spread[16] / spread[1]) == pytest.approx(1 / 4, rel=0.2)


def test_sampling_in_evaluation_is_the_expectation(tokens, entries):
    sampling = build(2, approximation='sampling')
    expectation = build(2, approximation='expectation')
    expectation.load_state_dict(sampling.state_dict())
    result = sampling(tokens, entries, PRIOR.double())
    assert torch.equal(result, expectation(tokens, entries, PRIOR.double()))


@pytest.mark.parametrize('approximation', ['attention', 'expectation', 'sampling'])
@pytest.mark.parametrize('training', [True, False])
def test_entry_of_probability_zero_has_no_influence(
    tokens, entries, approximation, training
):
    module = build(2, approximation=approximation).train(training)
    prior = torch.tensor([0.6, 0.0, 0.4], dtype=torch.float64)
    changed = entries.clone()
    changed[1] = 100 * torch.randn(4)
    results = []
    for given in (entries, changed):
        torch.manual_seed(1)
        results.append(module(tokens, given, prior))
    assert results[0].isfinite().all()
    assert_close(results[0], results[1])


def test_attention_weights_equal_the_reference_and_sum_to_one(tokens, entries):
    module = build(3)
    weights = module.attention_weights(tokens, entries, PRIOR.double())
    _, expected = reference(module, tokens, entries, PRIOR)
    assert weights.shape == (2, 5, 3)
    np.testing.assert_allclose(array(weights), expected, rtol=1e-6)
    assert_close(weights.sum(dim=2), torch.ones(2, 5, dtype=torch.float64))


def test_attention_weights_of_an_entry_of_probability_zero_are_zero(tokens, entries):
    prior = torch.tensor([0.6, 0.0, 0.4], dtype=torch.float64)
    weights = build(2).attention_weights(tokens, entries, prior)
    assert (weights[..., 1] == 0).all()
    assert_close(weights.sum(dim=2), torch.ones(2, 5, dtype=torch.float64))


def test_gate_0_returns_exactly_the_input_and_gate_1_exactly_the_result():
    module = CausalIntervention(6, 4, num_heads=2)
    tokens, intervened = torch.randn(2, 5, 6), torch.randn(2, 5, 6) * 1e3
    module.gate.fill_(0)
    assert torch.equal(module.gated(tokens, intervened), tokens)
    module.gate.fill_(1)
    assert torch.equal(module.gated(tokens, intervened), intervened)


def test_a_gate_between_0_and_1_blends_linearly():
    module = CausalIntervention(6, 4, num_heads=2, gate=0.25)
    result = module.gated(torch.tensor([4.0]), torch.tensor([8.0]))
    assert result.item() == 5.0


def test_the_gate_is_open_by_default_and_saved_with_the_model():
    module = CausalIntervention(6, 4, num_heads=2)
    assert module.gate == 1
    module.gate.fill_(0.5)
    other = CausalIntervention(6, 4, num_heads=2)
    other.load_state_dict(module.state_dict())
    assert other.gate == 0.5


def test_self_attention_control_ignores_the_dictionary_and_mixes_tokens(
    tokens, entries
):
    module = build(1, attend_to='self')
    result = module(tokens, entries, PRIOR.double())
    assert_close(module(tokens, entries * 9, UNIFORM.double()), result)

    expected = []
    for image in array(tokens):
        others = layer_norm(image, module.entry_norm)
        uniform = np.full(5, 1 / 5)
        expected.append(reference_layer(module.layers[0], image, others, uniform)[0])
    np.testing.assert_allclose(array(result), np.stack(expected), rtol=1e-6)

    changed = tokens.clone()
    changed[0, 0, 0] += 1
    difference = (module(changed, entries, PRIOR.double()) - result).abs().amax(dim=2)
    assert (difference[0] > 1e-9).all()
    assert (difference[1] == 0).all()


def test_self_attention_control_has_the_same_number_of_parameters_at_equal_widths():
    count = [
        sum(p.numel() for p in CausalIntervention(8, 8, attend_to=a).parameters())
        for a in ('dictionary', 'self')
    ]
    assert count[0] == count[1]


def test_layers_have_the_papers_number_of_parameters_at_width_1024():
    """The paper's 12.4, 24.9 and 37.5 M at 1, 3 and 5 layers: 6.25 M a layer."""
    with torch.device('meta'):
        totals = [
            sum(
                p.numel()
                for p in CausalIntervention(1024, 1024, num_layers=n).parameters()
            )
            for n in (1, 3, 5)
        ]
    assert totals[2] - totals[1] == totals[1] - totals[0]
    assert (totals[1] - totals[0]) / 2 == pytest.approx(6.25e6, rel=0.02)


@pytest.mark.parametrize('approximation', ['attention', 'expectation', 'sampling'])
def test_every_trainable_parameter_gets_a_gradient(approximation, entries):
    module = build(2, approximation=approximation).train()
    tokens = torch.randn(4, 5, 6, dtype=torch.float64)
    module(tokens, entries, PRIOR.double()).square().sum().backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        else:
            assert '.query' in name or '.key' in name


def test_query_and_key_are_trained_only_in_the_attention_form():
    trained = {
        approximation: {
            name
            for name, p in build(2, approximation=approximation).named_parameters()
            if p.requires_grad
        }
        for approximation in ('attention', 'expectation')
    }
    left_out = trained['attention'] - trained['expectation']
    assert {name.split('.')[2] for name in left_out} == {'query_norm', 'query', 'key'}
    assert trained['expectation'] < trained['attention']


@pytest.mark.parametrize('approximation', ['attention', 'expectation', 'sampling'])
def test_half_precision_stays_finite_and_close(approximation):
    module = CausalIntervention(32, 16, num_heads=4, approximation=approximation)
    module.init_weights()
    tokens, entries = torch.randn(2, 7, 32), torch.randn(3, 16)
    prior = torch.tensor([0.7, 0.3, 0.0])
    results = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            results.append(module(tokens, entries, prior))
    result = results[1].float()
    assert result.isfinite().all()
    assert_close(result, results[0], atol=0.05, rtol=0.05)
    module.gate.fill_(0)
    half = tokens.bfloat16()
    assert torch.equal(module.gated(half, results[1]), half)


def test_initial_intervention_is_near_the_identity():
    module = CausalIntervention(64, 32)
    module.init_weights()
    tokens = torch.randn(2, 9, 64)
    change = module(tokens, torch.randn(3, 32), PRIOR) - tokens
    assert 0 < change.norm() < 0.2 * tokens.norm()


def test_the_module_can_be_built_from_the_registry_with_its_defaults():
    module = MODELS.build(
        dict(type='CausalIntervention', embed_dims=16, dictionary_dims=8)
    )
    assert len(module.layers) == 3
    assert module.approximation == 'attention'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(num_layers=0), 'num_layers=0 must be at least 1'),
        (dict(num_heads=5), 'num_heads=5 must divide attention_dims=16'),
        (dict(attention_dims=12), 'num_heads=8 must divide attention_dims=12'),
        (dict(num_heads=0), 'num_heads=0'),
        (dict(approximation='exact'), "approximation='exact' must be one of"),
        (dict(num_samples=0), 'num_samples=0 must be at least 1'),
        (dict(attend_to='text'), "attend_to='text' must be one of"),
        (
            dict(attend_to='self', approximation='expectation'),
            "attend_to='self' needs approximation='attention'",
        ),
        (dict(gate=1.5), 'gate=1.5 must lie in'),
        (dict(gate=-0.1), 'gate=-0.1 must lie in'),
    ],
)
def test_an_argument_outside_its_range_is_an_error_that_names_it(arguments, message):
    with pytest.raises(ValueError, match='CausalIntervention: ') as caught:
        CausalIntervention(16, 8, **arguments)
    assert message in str(caught.value)


def test_the_orthogonal_residual_ignores_shifts_of_tokens_along_a_confounder(
    joint_tokens, entries
):
    module = build(num_layers=2, embed_dims=4, residual='orthogonal').eval()
    moved = joint_tokens + 3.0 * (entries[2] - entries[0])
    assert_close(
        module(moved, entries, PRIOR),
        module(joint_tokens, entries, PRIOR),
        atol=1e-4,
        rtol=0,
    )
    whole = build(num_layers=2, embed_dims=4).eval()
    assert not torch.allclose(
        whole(moved, entries, PRIOR), whole(joint_tokens, entries, PRIOR), atol=0.1
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(residual='none'), "residual='none'"),
        (dict(residual='orthogonal', embed_dims=16), 'embed_dims=16'),
        (dict(residual='orthogonal', attend_to='self'), "attend_to='self'"),
    ],
)
def test_an_unsupported_residual_is_an_error_that_names_the_argument(
    arguments, message
):
    with pytest.raises(ValueError, match=message):
        build(**{'embed_dims': 4, **arguments})


FORMS = ('attention', 'expectation', 'sampling')


def plain(module, tokens, entries, prior):
    """The same forward pass with gradients on, for which nothing is kept."""
    with torch.enable_grad():
        return module(tokens, entries, prior).detach()


@pytest.mark.parametrize('approximation', FORMS)
@pytest.mark.parametrize('count', [1, 3, 8])
def test_inference_equals_the_forward_pass_with_gradients(tokens, approximation, count):
    """Two heads of width 3: folded up to three entries, and plain with eight."""
    module = build(3, approximation=approximation)
    entries = torch.randn(count, 4, dtype=torch.float64)
    prior = torch.randn(count, dtype=torch.float64).softmax(dim=0)
    expected = plain(module, tokens, entries, prior)
    with torch.no_grad():
        for _ in range(2):
            assert_close(module(tokens, entries, prior), expected)


@pytest.mark.parametrize('approximation', FORMS)
def test_inference_projects_the_dictionary_once(tokens, entries, approximation):
    module = build(2, approximation=approximation)
    runs, norm = [], module.entry_norm.forward
    module.entry_norm.forward = lambda entries: runs.append(1) or norm(entries)
    prior = PRIOR.double()
    with torch.no_grad():
        for _ in range(3):
            module(tokens, entries, prior)
    assert len(runs) == 1


@pytest.mark.parametrize('name', ['query', 'value', 'out', 'ffn.1'])
@pytest.mark.parametrize('approximation', FORMS)
def test_inference_uses_the_weights_that_pruning_hooks_compute(
    tokens, entries, approximation, name
):
    module, prior = build(2, approximation=approximation), PRIOR.double()
    prune.l1_unstructured(module.layers[0].get_submodule(name), 'weight', amount=0.3)
    with torch.no_grad():
        before = module(tokens, entries, prior)
        key = f'layers.0.{name}.weight_orig'
        state = module.state_dict()
        module.load_state_dict({**state, key: 3 * state[key]})
        after = module(tokens, entries, prior)
    assert_close(after, plain(module, tokens, entries, prior))
    unused = name == 'query' and approximation != 'attention'
    assert torch.allclose(after, before) == unused


def test_a_compiled_pass_folds_the_dictionary_and_keeps_nothing(tokens, entries):
    module, prior = build(2), PRIOR.double()
    operations = []

    def backend(graph, inputs):
        operations.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    compiled = torch.compile(module, backend=backend, fullgraph=True)
    with torch.no_grad():
        for _ in range(2):
            expected = plain(module, tokens, entries, prior)
            assert_close(compiled(tokens, entries, prior), expected)
            # Writes that are not counted: TensorCache would not notice them.
            module.layers[0].key.weight.data.mul_(2)
    assert not any('scaled_dot_product_attention' in name for name in operations)
    assert any('einsum' in name for name in operations)
    # Logits alone: the feed-forward block keeps the weights that are in the graph.
    products, layers = (
        sum(word in name for name in operations) for word in ('addmm', 'softmax')
    )
    assert products == layers > 0


@pytest.mark.parametrize('approximation', FORMS)
def test_entry_of_probability_zero_has_no_influence_at_inference(
    tokens, entries, approximation
):
    module = build(2, approximation=approximation)
    prior = torch.tensor([0.6, 0.0, 0.4], dtype=torch.float64)
    changed = entries.clone()
    changed[1] = 100
    with torch.no_grad():
        result = module(tokens, entries, prior)
        assert result.isfinite().all()
        assert_close(module(tokens, changed, prior), result)


def optimiser_step(module, entries, prior):
    for parameter in module.parameters():
        parameter.grad = torch.randn_like(parameter)
    torch.optim.AdamW(module.parameters(), lr=0.1).step()


def loaded_weights(module, entries, prior):
    module.load_state_dict(build(2).state_dict())


def written_bias(module, entries, prior):
    with torch.no_grad():
        module.layers[0].value.bias.add_(1)


def written_feed_forward(module, entries, prior):
    with torch.no_grad():
        module.layers[1].ffn[3].weight.mul_(2)


def written_norm(module, entries, prior):
    with torch.no_grad():
        module.layers[1].ffn[0].weight.mul_(2)


def filled_dictionary(module, entries, prior):
    entries.copy_(torch.randn_like(entries))


def estimated_prior(module, entries, prior):
    prior.copy_(torch.tensor([0.1, 0.1, 0.8]))


def hidden_writes_and_a_change_of_mode(module, entries, prior):
    """MMEngine's EMA hook writes through ``.data``; validation then begins."""
    module.layers[0].value.weight.data.mul_(3)
    module.eval()


def there_and_back(module, entries, prior):
    module.half().double()


CHANGES = (
    optimiser_step,
    loaded_weights,
    written_bias,
    written_feed_forward,
    written_norm,
    filled_dictionary,
    estimated_prior,
    hidden_writes_and_a_change_of_mode,
    there_and_back,
)


@pytest.mark.parametrize('approximation', FORMS)
@pytest.mark.parametrize('change', CHANGES)
def test_inference_notices_changes_of_weights_dictionary_and_prior(
    tokens, entries, approximation, change
):
    module, prior = build(2, approximation=approximation), PRIOR.double()
    with torch.no_grad():
        before = module(tokens, entries, prior)
    change(module, entries, prior)
    expected = plain(module, tokens, entries, prior)
    with torch.no_grad():
        assert torch.allclose(module(tokens, entries, prior), expected, atol=1e-12)
        assert not torch.equal(expected, before)


def test_inference_takes_the_dtype_of_the_model(tokens, entries):
    module = build(2)
    with torch.no_grad():
        before = module(tokens, entries, PRIOR.double())
        module.float()
        after = module(tokens.float(), entries.float(), PRIOR)
    assert after.dtype == torch.float32
    assert_close(after.double(), before, atol=1e-4, rtol=1e-4)


def test_a_mixed_precision_pass_does_not_change_later_full_precision_results(
    tokens, entries
):
    module = build(2).float()
    tokens, entries = tokens.float(), entries.float()
    with torch.no_grad():
        expected = module(tokens, entries, PRIOR)
        module.eval()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            mixed = module(tokens, entries, PRIOR)
        assert torch.equal(module(tokens, entries, PRIOR), expected)
    assert_close(mixed.float(), expected, atol=0.2, rtol=0.05)


def test_values_kept_for_inference_are_not_in_the_state_dict(tokens, entries):
    module = build(2)
    names = list(module.state_dict())
    with torch.no_grad():
        module(tokens, entries, PRIOR.double())
    assert list(module.state_dict()) == names


def test_observed_scores_shift_tokens_along_the_direction_of_their_entry(
    joint_tokens, entries
):
    options = dict(embed_dims=4, num_heads=2, residual='orthogonal')
    module = build(observe_confounders=True, **options)
    scores = torch.tensor([[1.5, 0.0, -2.0], [0.0, 0.25, 0.0]], dtype=torch.float64)
    normed = layer_norm(array(entries), module.entry_norm)
    directions = normed @ array(module.observed.weight).T
    told = array(remove_confounder_span(joint_tokens, entries))
    told = told + (array(scores) @ directions)[:, None]
    expected, _ = reference(module, torch.from_numpy(told), entries, UNIFORM)
    result = module(joint_tokens, entries, UNIFORM, scores)
    assert_close(array(result), expected)


def test_the_confounder_span_is_computed_once_and_again_for_other_entries(
    joint_tokens, entries, monkeypatch
):
    solve, solved = causal_intervention.confounder_span, []

    def solving(entries):
        solved.append(entries.clone())
        return solve(entries)

    monkeypatch.setattr(causal_intervention, 'confounder_span', solving)
    module = build(embed_dims=4, num_heads=2, residual='orthogonal')
    for _ in range(2):
        module(joint_tokens, entries, UNIFORM)
    assert len(solved) == 1
    entries.add_(torch.randn_like(entries))
    told = remove_confounder_span(joint_tokens, entries)
    expected, _ = reference(module, told, entries, UNIFORM)
    assert_close(array(module(joint_tokens, entries, UNIFORM)), expected)
    assert len(solved) == 2


@torch.no_grad()
def test_the_confounder_span_follows_entries_replaced_by_moving_averages(
    joint_tokens, entries
):
    """MMEngine's EMA hook writes through ``.data``; validation then begins."""
    module = build(embed_dims=4, num_heads=2, residual='orthogonal').eval()
    module(joint_tokens, entries, UNIFORM)
    entries.data.copy_(torch.randn_like(entries))
    module.eval()
    told = module._residual_tokens(joint_tokens, entries)
    assert_close(told, remove_confounder_span(joint_tokens, entries))


def test_learned_entries_get_the_gradients_of_their_span(joint_tokens, entries):
    module = build(embed_dims=4, num_heads=2, residual='orthogonal')
    with torch.no_grad():
        module(joint_tokens, entries, UNIFORM)
    learned = entries.requires_grad_()
    result = module._residual_tokens(joint_tokens, learned).square().sum()
    (result_gradient,) = torch.autograd.grad(result, learned)
    told = remove_confounder_span(joint_tokens, learned).square().sum()
    (expected,) = torch.autograd.grad(told, learned)
    assert expected.abs().max() > 0.1
    assert_close(result_gradient, expected)


def test_missing_scores_count_as_the_mean_of_the_observed_confounders(tokens, entries):
    module = build(observe_confounders=True)
    mean = torch.zeros(2, 3, dtype=torch.float64)
    assert_close(
        module(tokens, entries, UNIFORM), module(tokens, entries, UNIFORM, mean)
    )


def test_observing_confounders_needs_a_dictionary():
    with pytest.raises(ValueError, match="observe_confounders needs attend_to='dict"):
        build(observe_confounders=True, attend_to='self')


def test_scores_are_refused_by_a_module_that_does_not_observe_confounders(
    tokens, entries
):
    with pytest.raises(ValueError, match='observe_confounders=False does not use them'):
        build()(tokens, entries, UNIFORM, torch.zeros(2, 3).double())
