import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.clip.learned_prompts import LearnedPrompts
from mcdrl_mmseg.clip.towers import CLIPSpec

NAMES = ['polyp', 'vocal fold lesion']


@pytest.fixture(params=['mcdrl-tiny-rn', 'mcdrl-endo-lite0'])
def spec(request, small_vocabulary):
    """A model with CLIP's text tower, and one with a sentence encoder."""
    return CLIPSpec(request.param)


@pytest.fixture
def prompts(spec):
    torch.manual_seed(0)
    return LearnedPrompts(spec, NAMES, context=4)


def test_a_random_context_has_the_standard_deviation_of_coop(spec):
    torch.manual_seed(0)
    prompts = LearnedPrompts(spec, NAMES, context=16)
    context = prompts.context
    assert context.shape == (16, prompts.tower.width)
    assert float(context.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_only_the_context_is_trained(prompts):
    trained = [n for n, p in prompts.named_parameters() if p.requires_grad]
    assert trained == ['context']
    prompts.train()
    assert prompts.training
    assert not prompts.tower.training
    prompts().square().sum().backward()
    assert (prompts.context.grad.abs().sum(dim=1) > 0).all()
    assert all(p.grad is None for p in prompts.tower.parameters())


def test_gradient_of_the_context_agrees_with_a_difference_quotient(prompts):
    prompts.double().train()
    direction = torch.randn(2, prompts.tower.output_dim, dtype=torch.float64)
    step = 1e-6

    def score() -> torch.Tensor:
        return (prompts() * direction).sum()

    score().backward()
    with torch.no_grad():
        prompts.context[2, 5] += step
        up = score()
        prompts.context[2, 5] -= 2 * step
        down = score()
    expected = float(up - down) / (2 * step)
    assert float(prompts.context.grad[2, 5]) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def runs(prompts):
    """Counts the passes of the tower."""
    counted = []
    tower = prompts.tower
    layers = tower.encoder.layers if hasattr(tower, 'encoder') else tower.transformer
    layers.register_forward_hook(lambda *_: counted.append(1))
    return counted


def test_the_tower_runs_at_every_training_step_and_once_at_inference(prompts, runs):
    prompts.train()
    for _ in range(3):
        prompts()
    assert len(runs) == 3
    prompts.eval()
    with torch.no_grad():
        first, second = prompts(), prompts()
    assert len(runs) == 4
    assert torch.equal(first, second)
    assert prompts().requires_grad


def test_inference_uses_the_trained_context_and_loaded_weights(prompts):
    prompts.eval()
    with torch.no_grad():
        before = prompts()
        prompts.train()
        # Not a constant, which layer norms would remove.
        noise = 0.1 * torch.randn_like(prompts.context)
        prompts.context.add_(noise)
        prompts.eval()
        trained = prompts()
        assert not torch.allclose(before, trained, atol=1e-4)
        state = prompts.state_dict()
        state['context'] = state['context'] - noise
        prompts.load_state_dict(state)
        assert_close(prompts(), before, atol=1e-5, rtol=0)


def take_a_step(prompts):
    """One optimiser step in evaluation mode, as in test-time tuning."""
    optimizer = torch.optim.SGD([prompts.context], lr=100.0)
    with torch.enable_grad():
        prompts().square().sum().backward()
    optimizer.step()


def replace_the_context(prompts):
    prompts.context = torch.nn.Parameter(torch.randn_like(prompts.context))


def put_into_other_memory(prompts):
    prompts.context.data = torch.randn_like(prompts.context)


@pytest.mark.parametrize(
    'change', [take_a_step, replace_the_context, put_into_other_memory]
)
@torch.no_grad()
def test_inference_uses_a_context_that_changes_in_evaluation_mode(
    prompts, runs, change
):
    prompts.eval()
    before = prompts()
    change(prompts)
    runs.clear()
    after = prompts()
    assert prompts() is after and len(runs) == 1
    assert torch.equal(after, prompts.embed())
    assert not torch.allclose(after, before, atol=1e-3)


@torch.no_grad()
def test_a_pass_in_mixed_precision_does_not_change_later_full_precision_results(
    prompts,
):
    expected = prompts.eval()()
    prompts.eval()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        prompts()
    assert torch.equal(prompts(), expected)


def test_a_checkpoint_restores_the_prompts_completely(spec, prompts):
    torch.manual_seed(5)
    other = LearnedPrompts(spec, NAMES, context=4)
    assert not torch.allclose(other(), prompts(), atol=1e-3)
    other.load_state_dict(prompts.state_dict(), strict=True)
    assert torch.equal(other(), prompts())


def test_half_precision_prompts_are_finite_and_close_to_full_precision(prompts):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = prompts()
    assert half.isfinite().all()
    cosine = torch.cosine_similarity(half.float(), prompts(), dim=1)
    assert (cosine > 0.99).all()


def test_a_prompt_too_long_for_the_text_tower_is_refused(spec):
    # "polyp" is two tokens, and start and end take one each.
    room = {'mcdrl-tiny-rn': 32, 'mcdrl-endo-lite0': 128}[spec.model_name] - 4
    assert LearnedPrompts(spec, ['polyp'], context=room)().isfinite().all()
    message = rf"{room + 1} context vectors.*'polyp' do not fit into the {room + 4}"
    with pytest.raises(ValueError, match=message):
        LearnedPrompts(spec, ['polyp'], context=room + 1)


@pytest.mark.parametrize(('names', 'context'), [([], 4), (NAMES, 0), (NAMES, '')])
def test_no_class_names_or_an_empty_context_is_refused(spec, names, context):
    with pytest.raises(ValueError, match='at least one'):
        LearnedPrompts(spec, names, context)
