import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.clip.learned_prompts import LearnedPrompts
from mcdrl_mmseg.clip.text import embed_texts, tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec

SPEC = CLIPSpec('mcdrl-tiny-rn')
NAMES = ['polyp', 'vocal fold lesion']


@pytest.fixture
def weights(tiny_clips, tmp_path):
    path = tmp_path / 'clip.pt'
    torch.save(tiny_clips['mcdrl-tiny-rn'].state_dict(), path)
    return str(path)


@pytest.fixture
def prompts():
    torch.manual_seed(0)
    return LearnedPrompts(SPEC, NAMES, context=4)


@pytest.mark.parametrize('names', [NAMES, NAMES[::-1], NAMES[:1]])
def test_context_of_words_gives_the_embeddings_of_the_whole_text(names):
    prompts = LearnedPrompts(SPEC, names, context='a photo of a')
    texts = [f'a photo of a {name}' for name in names]
    expected = prompts.tower(tokenize(SPEC, texts))
    assert_close(prompts(), expected, atol=1e-5, rtol=1e-5)
    assert prompts.context.shape == (4, 64)


def test_weights_are_loaded_and_words_are_taken_from_them(weights):
    spec = CLIPSpec('mcdrl-tiny-rn', weights)
    prompts = LearnedPrompts(spec, NAMES, context='an endoscopic image of a')
    prompts.init_weights()
    expected = embed_texts(spec, [f'an endoscopic image of a {n}' for n in NAMES])
    found = torch.nn.functional.normalize(prompts().detach(), dim=1)
    assert_close(found, expected, atol=1e-5, rtol=0)


def test_random_context_has_coops_spread():
    torch.manual_seed(0)
    context = LearnedPrompts(SPEC, NAMES, context=16).context
    assert context.shape == (16, 64)
    assert float(context.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_context_is_all_that_is_trained(prompts):
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
    direction = torch.randn(2, 128, dtype=torch.float64)
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
    prompts.tower.transformer.register_forward_hook(lambda *_: counted.append(1))
    return counted


def test_tower_runs_in_every_step_of_training_and_once_at_inference(prompts, runs):
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


def test_inference_follows_training_and_loaded_weights(prompts):
    prompts.eval()
    with torch.no_grad():
        before = prompts()
        prompts.train()
        # No constant, which layer norms would take out again.
        noise = 0.1 * torch.randn_like(prompts.context)
        prompts.context.add_(noise)
        prompts.eval()
        trained = prompts()
        assert not torch.allclose(before, trained, atol=1e-4)
        state = prompts.state_dict()
        state['context'] = state['context'] - noise
        prompts.load_state_dict(state)
        assert_close(prompts(), before, atol=1e-5, rtol=0)


def test_checkpoint_is_whole(prompts):
    torch.manual_seed(5)
    other = LearnedPrompts(SPEC, NAMES, context=4)
    assert not torch.allclose(other(), prompts(), atol=1e-3)
    other.load_state_dict(prompts.state_dict(), strict=True)
    assert torch.equal(other(), prompts())


def test_half_precision_is_finite_and_near(prompts):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = prompts()
    assert half.isfinite().all()
    cosine = torch.cosine_similarity(half.float(), prompts(), dim=1)
    assert (cosine > 0.99).all()


def test_prompt_that_does_not_fit_is_refused():
    # "polyp" is two tokens, and start and end take one each of the 32.
    assert LearnedPrompts(SPEC, ['polyp'], context=28)().isfinite().all()
    with pytest.raises(ValueError, match=r"29 context vectors.*'polyp' do not fit"):
        LearnedPrompts(SPEC, ['polyp'], context=29)


@pytest.mark.parametrize(('names', 'context'), [([], 4), (NAMES, 0), (NAMES, '')])
def test_nothing_to_learn_or_to_name_is_refused(names, context):
    with pytest.raises(ValueError, match='at least one'):
        LearnedPrompts(SPEC, names, context)


def test_other_kind_of_text_tower_is_refused():
    with (
        torch.device('meta'),
        pytest.raises(ValueError, match=r"coca_ViT-B-32.*is not CLIP's"),
    ):
        LearnedPrompts(CLIPSpec('coca_ViT-B-32'), NAMES)
