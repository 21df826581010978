import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from mmseg.registry import MODELS
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.models import ConfounderDictionary, DictionaryError
from mcdrl_mmseg.prompts import PromptError, PromptSet

FINGERPRINT = '0123456789abcdef' * 4
PRIOR = dict(glare=0.5, dark=0.3, blur=0.2)


def numbered(count: int, dims: int) -> torch.Tensor:
    """Row i holds i everywhere."""
    return torch.arange(float(count))[:, None].expand(count, dims)


def test_buffer_shapes_follow_from_the_prompts_before_the_dictionary_is_built(prompts):
    dictionary = MODELS.build(
        dict(type='ConfounderDictionary', prompts=prompts, embed_dims=5)
    )
    shapes = {name: tuple(b.shape) for name, b in dictionary.named_buffers()}
    assert shapes == {
        'class_embeddings': (2, 5),
        'confounder_embeddings': (3, 5),
        'class_confounder_embeddings': (2, 3, 5),
        'background_embeddings': (1, 5),
        'confounder_prior': (3,),
        'built': (),
        'fingerprint': (32,),
    }
    assert set(dictionary.state_dict()) == set(shapes)
    assert not list(dictionary.parameters())
    assert not dictionary.is_built


def test_texts_are_classes_confounders_pairs_then_background(prompts):
    assert ConfounderDictionary(prompts, 5).texts == [
        'A polyp in an endoscopic image',
        'A cyst in an endoscopic image',
        'An endoscopy image with glare',
        'An endoscopy image with dark',
        'An endoscopy image with blur',
        'A polyp with glare',
        'A polyp with dark',
        'A polyp with blur',
        'A cyst with glare',
        'A cyst with dark',
        'A cyst with blur',
        'Normal mucosa',
    ]


def test_fill_stores_each_embedding_in_the_buffer_of_its_text(prompts):
    dictionary = ConfounderDictionary(prompts, 5)
    dictionary.fill(numbered(12, 5), FINGERPRINT)
    assert dictionary.class_embeddings[:, 0].tolist() == [0, 1]
    assert dictionary.confounder_embeddings[:, 0].tolist() == [2, 3, 4]
    pairs = dictionary.class_confounder_embeddings[:, :, 0]
    assert pairs.tolist() == [[5, 6, 7], [8, 9, 10]]
    assert dictionary.background_embeddings[:, 0].tolist() == [11]
    assert torch.equal(dictionary.entries, dictionary.confounder_embeddings)
    assert dictionary.stored_fingerprint == FINGERPRINT
    assert dictionary.is_built


def test_a_dictionary_without_background_prompts_can_be_filled(prompts):
    prompts['background_prompts'] = []
    dictionary = ConfounderDictionary(prompts, 5)
    dictionary.fill(numbered(11, 5), FINGERPRINT)
    assert dictionary.background_embeddings.shape == (0, 5)
    assert dictionary.class_confounder_embeddings[1, 2, 0] == 10


def test_an_unbuilt_dictionary_raises_an_error_that_says_what_to_do(prompts):
    dictionary = ConfounderDictionary(prompts, 5)
    for use in (dictionary.check_built, lambda: dictionary.entries):
        with pytest.raises(DictionaryError, match='not built') as caught:
            use()
        assert 'ConfounderDictionaryHook' in str(caught.value)
        assert 'custom_hooks' in str(caught.value)
        assert 'checkpoint' in str(caught.value)


def test_state_dict_restores_embeddings_fingerprint_prior_and_built_flag(prompts):
    source = ConfounderDictionary(prompts, 5, prior=PRIOR)
    source.fill(numbered(12, 5), FINGERPRINT)
    target = ConfounderDictionary(prompts, 5)
    target.load_state_dict(source.state_dict())
    assert target.is_built
    assert target.stored_fingerprint == FINGERPRINT
    for (name, one), (_, other) in zip(source.named_buffers(), target.named_buffers()):
        assert torch.equal(one, other), name


def test_loading_an_unbuilt_dictionary_makes_a_built_one_unbuilt(prompts, fill):
    dictionary = fill(ConfounderDictionary(prompts, 5))
    dictionary.load_state_dict(ConfounderDictionary(prompts, 5).state_dict())
    assert not dictionary.is_built


@pytest.mark.parametrize(
    'changes', [dict(classes=['polyp']), dict(confounders={'light': ['glare']})]
)
def test_a_checkpoint_with_buffers_of_other_shapes_leaves_the_dictionary_unbuilt(
    prompts, fill, changes
):
    """A loader that is not strict loads the flag, and leaves the embeddings empty."""
    source = fill(ConfounderDictionary(prompts, 5))
    for target in (
        ConfounderDictionary({**prompts, **changes}, 5),
        ConfounderDictionary(prompts, 4),
    ):
        load_state_dict(nn.Sequential(target), nn.Sequential(source).state_dict())
        assert not target.is_built
        with pytest.raises(DictionaryError, match='same prompts'):
            target.check_built()


def test_checkpoint_without_dictionary_leaves_a_built_one_built(prompts, fill):
    dictionary = fill(ConfounderDictionary(prompts, 5))
    load_state_dict(nn.Sequential(dictionary), {'1.weight': torch.zeros(1)})
    assert dictionary.is_built


def test_checkpoint_without_dictionary_leaves_an_unbuilt_one_unbuilt(prompts):
    dictionary = ConfounderDictionary(prompts, 5)
    dictionary.load_state_dict({}, strict=False)
    assert not dictionary.is_built


def test_dtype_conversion_changes_embeddings_but_not_fingerprint_and_built_flag(
    prompts, fill
):
    dictionary = fill(ConfounderDictionary(prompts, 5)).double()
    assert dictionary.entries.dtype == torch.float64
    assert dictionary.fingerprint.dtype == torch.long
    assert dictionary.built.dtype == torch.bool


def test_averaging_buffers_over_two_processes_keeps_the_fingerprint(prompts):
    """MMEngine's SyncBuffersHook adds buffers up in their own dtype, then divides."""
    dictionary = ConfounderDictionary(prompts, 5)
    dictionary.fill(numbered(12, 5), FINGERPRINT)
    total = dictionary.fingerprint + dictionary.fingerprint
    dictionary.fingerprint.copy_(torch.true_divide(total, 2))
    assert dictionary.stored_fingerprint == FINGERPRINT


def test_a_fingerprint_stored_as_bytes_in_an_older_checkpoint_is_read(prompts):
    dictionary = ConfounderDictionary(prompts, 5)
    dictionary.fill(numbered(12, 5), FINGERPRINT)
    earlier = dictionary.state_dict()
    earlier['fingerprint'] = earlier['fingerprint'].to(torch.uint8)
    later = ConfounderDictionary(prompts, 5)
    later.load_state_dict(earlier)
    assert later.stored_fingerprint == FINGERPRINT


def test_embeddings_of_another_width_are_an_error_that_names_embed_dims(prompts):
    dictionary = ConfounderDictionary(prompts, 5)
    with pytest.raises(DictionaryError, match=r'width 6.*embed_dims=5.*Set embed_dims'):
        dictionary.fill(numbered(12, 6), FINGERPRINT)
    assert not dictionary.is_built


def test_a_wrong_number_of_embeddings_is_an_error(prompts):
    with pytest.raises(DictionaryError, match=r'gives 11 embeddings.*needs 12'):
        ConfounderDictionary(prompts, 5).fill(numbered(11, 5), FINGERPRINT)


def test_prior_is_uniform_unless_given(prompts):
    dictionary = ConfounderDictionary(prompts, 5)
    assert_close(dictionary.confounder_prior, torch.full((3,), 1 / 3))
    assert not dictionary.prior_is_estimated


def test_a_given_prior_is_assigned_by_condition_name(prompts):
    given = dict(blur=0.3, glare=0.7, dark=0.0)
    prior = ConfounderDictionary(prompts, 5, prior=given).confounder_prior
    assert_close(prior, torch.tensor([0.7, 0.0, 0.3]))
    assert prior.sum() == 1


def test_a_prior_as_a_list_is_accepted_only_if_saving_the_config_keeps_the_order(
    prompts,
):
    families = {'a': ['glare', 'dark'], 'b': ['blur']}
    prior = ConfounderDictionary(
        {**prompts, 'confounders': families}, 5, prior=(0.7, 0.0, 0.3)
    ).confounder_prior
    assert_close(prior, torch.tensor([0.7, 0.0, 0.3]))
    families = {'b': ['glare', 'dark'], 'a': ['blur']}
    with pytest.raises(ValueError, match='Name the conditions') as caught:
        ConfounderDictionary(
            {**prompts, 'confounders': families}, 5, prior=(0.5, 0.25, 0.25)
        )
    assert "{'glare': 0.5, 'dark': 0.25, 'blur': 0.25}" in str(caught.value)


def test_an_estimated_prior_starts_uniform_and_is_marked_as_estimated(prompts):
    dictionary = ConfounderDictionary(prompts, 5, prior='estimated')
    assert dictionary.prior_is_estimated
    assert_close(dictionary.confounder_prior, torch.full((3,), 1 / 3))


@pytest.mark.parametrize(
    'prior',
    [
        [0.5, 0.5],
        [0.5, 0.3, 0.3],
        [1.2, -0.1, -0.1],
        [float('nan'), 0.5, 0.5],
        [[0.5, 0.3, 0.2]],
        'unifrom',
        dict(glare=0.5, dark=0.5),
        dict(glare=0.5, dark=0.3, mucus=0.2),
        dict(glare=0.5, dark=0.3, blur=0.3),
    ],
)
def test_a_prior_that_is_not_a_distribution_over_the_confounders_is_an_error(
    prompts, prior
):
    with pytest.raises(ValueError, match='3 probabilities that sum to 1') as caught:
        ConfounderDictionary(prompts, 5, prior=prior)
    assert 'glare' in str(caught.value)


def test_an_unknown_source_is_an_error_that_lists_the_known_ones(prompts):
    with pytest.raises(ValueError, match=r"source='texts'.*'shuffled'"):
        ConfounderDictionary(prompts, 5, source='texts')


def test_unusable_prompts_are_an_error_at_construction(prompts):
    prompts['classes'] = ['polyp', 'polyp']
    with pytest.raises(PromptError, match='twice'):
        ConfounderDictionary(prompts, 5)


def test_shuffled_control_changes_only_the_texts_of_confounders(prompts):
    plain = ConfounderDictionary(prompts, 5)
    control = ConfounderDictionary(prompts, 5, source='shuffled', seed=3)
    shuffled = PromptSet.from_cfg(prompts).shuffled(3).confounder_texts
    assert control.texts[2:5] == shuffled
    assert all(a != b for a, b in zip(control.texts[2:5], plain.texts[2:5]))
    assert control.texts[:2] == plain.texts[:2]
    assert control.texts[5:] == plain.texts[5:]


def test_random_control_replaces_only_the_confounders_by_unit_vectors(prompts):
    dictionary = ConfounderDictionary(prompts, 5, source='random', seed=1)
    dictionary.fill(numbered(12, 5), FINGERPRINT)
    assert_close(dictionary.entries.norm(dim=1), torch.ones(3))
    assert dictionary.class_embeddings[:, 0].tolist() == [0, 1]
    assert dictionary.class_confounder_embeddings[1, 2, 0] == 10
    assert dictionary.background_embeddings[0, 0] == 11


def test_random_control_follows_its_seed_and_not_the_global_one(prompts, fill):
    def entries(seed, global_seed):
        torch.manual_seed(global_seed)
        return fill(
            ConfounderDictionary(prompts, 5, source='random', seed=seed)
        ).entries

    assert torch.equal(entries(1, 0), entries(1, 9))
    assert not torch.equal(entries(1, 0), entries(2, 0))


def test_learned_control_is_a_parameter_of_the_same_shape_that_gets_gradients(
    prompts, fill
):
    dictionary = fill(ConfounderDictionary(prompts, 5, source='learned'))
    assert [name for name, _ in dictionary.named_parameters()] == ['learned_embeddings']
    assert dictionary.entries.shape == (3, 5)
    assert_close(dictionary.entries.norm(dim=1), torch.ones(3))
    dictionary.entries.square().sum().backward()
    gradient = dictionary.learned_embeddings.grad
    assert_close(gradient, 2 * dictionary.learned_embeddings.detach())


def test_an_unbuilt_learned_control_raises_an_error(prompts):
    with pytest.raises(DictionaryError, match='not built'):
        ConfounderDictionary(prompts, 5, source='learned').entries  # noqa: B018


def test_fingerprint_depends_on_prompts_source_seed_and_tower_but_not_on_key_order(
    prompts,
):
    tower = {'text_tower': 'RN50', 'weights': 'openai'}
    other_prompts = {**prompts, 'classes': ['polyp', 'nodule']}
    fingerprints = [
        ConfounderDictionary(prompts, 5).expected_fingerprint(tower),
        ConfounderDictionary(other_prompts, 5).expected_fingerprint(tower),
        ConfounderDictionary(prompts, 5, source='shuffled').expected_fingerprint(tower),
        ConfounderDictionary(
            prompts, 5, source='shuffled', seed=1
        ).expected_fingerprint(tower),
        ConfounderDictionary(prompts, 5).expected_fingerprint({'text_tower': 'RN50'}),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    again = ConfounderDictionary(dict(reversed(prompts.items())), 5)
    assert again.expected_fingerprint(tower) == fingerprints[0]
