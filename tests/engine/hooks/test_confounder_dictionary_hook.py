import re

import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.registry import init_default_scope
from mmengine.runner import load_state_dict
from mmseg.registry import HOOKS
from safetensors.numpy import load
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.clip import CLIPSpec, embed_texts
from mcdrl_mmseg.datasets import EndoscopySiteDataset
from mcdrl_mmseg.engine.hooks import ConfounderDictionaryHook
from mcdrl_mmseg.models import (
    CausalInterventionHead,
    CLIPGuidedBackbone,
    ConfounderDictionary,
    DictionaryError,
)
from mcdrl_mmseg.prompts import PromptSet

TEXTS = 2 + 3 + 6 + 1
MODULE = 'mcdrl_mmseg.engine.hooks.confounder_dictionary_hook'
MAIN_PROCESS = 'mcdrl_mmseg.engine.main_process'


@pytest.fixture
def hook(tmp_path) -> ConfounderDictionaryHook:
    return ConfounderDictionaryHook(cache_dir=str(tmp_path / 'cache'))


@pytest.fixture
def first(hook, make_runner, text_passes):
    """A run whose dictionary is filled and whose cache is deleted."""
    runner = make_runner()
    hook.before_train(runner)
    text_passes.clear()
    for file in cache_files(hook):
        file.unlink()
    return runner


def cache_files(hook) -> list:
    return sorted(hook.cache_dir.iterdir()) if hook.cache_dir.exists() else []


def test_the_first_start_fills_the_dictionary_with_embeddings_of_the_text_tower(
    hook, make_runner
):
    runner = make_runner()
    hook.before_train(runner)
    dictionary = runner.model.dictionary
    expected = embed_texts(CLIPSpec('mcdrl-tiny-rn'), dictionary.texts)
    assert dictionary.is_built
    assert torch.equal(dictionary.class_embeddings, expected[:2])
    assert torch.equal(dictionary.confounder_embeddings, expected[2:5])
    pairs = dictionary.class_confounder_embeddings.flatten(0, 1)
    assert torch.equal(pairs, expected[5:11])
    assert torch.equal(dictionary.background_embeddings, expected[11:])
    wanted = dictionary.expected_fingerprint(CLIPSpec('mcdrl-tiny-rn').identity())
    assert dictionary.stored_fingerprint == wanted


def test_the_first_start_takes_one_pass_of_the_text_tower_over_all_texts(
    hook, make_runner, text_passes
):
    hook.before_train(make_runner())
    assert text_passes == [TEXTS]
    assert len(cache_files(hook)) == 1


def test_the_next_start_reads_the_cache_without_a_pass_of_the_text_tower(
    hook, make_runner, text_passes
):
    first, second = make_runner(), make_runner()
    hook.before_train(first)
    text_passes.clear()
    hook.before_train(second)
    assert text_passes == []
    one, other = (r.model.dictionary.state_dict() for r in (first, second))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize('content', [b'', b'damaged' * 99])
def test_a_damaged_cache_is_computed_again_and_replaced(
    hook, make_runner, text_passes, content
):
    hook.before_train(make_runner())
    (file,) = cache_files(hook)
    whole = file.read_bytes()
    file.write_bytes(content)
    runner = make_runner()
    hook.before_train(runner)
    assert text_passes == [TEXTS, TEXTS]
    assert runner.model.dictionary.is_built
    one, other = load(file.read_bytes()), load(whole)
    assert {key: one[key].tolist() for key in one} == {
        key: other[key].tolist() for key in other
    }


def test_other_prompts_do_not_use_the_cache(hook, make_runner, prompts, text_passes):
    hook.before_train(make_runner())
    hook.before_train(make_runner(prompts={**prompts, 'classes': ['polyp', 'nodule']}))
    assert text_passes == [TEXTS, TEXTS]
    assert len(cache_files(hook)) == 2


def test_a_cache_folder_that_cannot_be_written_gives_only_a_warning(
    tmp_path, make_runner
):
    (tmp_path / 'file').write_text('')
    runner = make_runner()
    ConfounderDictionaryHook(str(tmp_path / 'file' / 'x')).before_train(runner)
    assert runner.model.dictionary.is_built
    (message,) = runner.logger.warning.call_args.args
    assert str(tmp_path / 'file') in message
    assert 'could not be cached' in message


def test_resuming_neither_runs_the_text_tower_nor_changes_the_model(
    hook, make_runner, first, text_passes
):
    resumed = make_runner(iteration=7, prior='estimated')
    resumed.model.load_state_dict(first.model.state_dict())
    resumed.model.dictionary.confounder_prior.copy_(torch.tensor([0.5, 0.3, 0.2]))
    before = {k: v.clone() for k, v in resumed.model.state_dict().items()}
    hook.before_train(resumed)
    assert text_passes == []
    after = resumed.model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert cache_files(hook) == []


@pytest.mark.parametrize('classes', [['polyp', 'nodule'], ['polyp', 'nodule', 'cyst']])
def test_resuming_with_other_prompts_is_an_error_that_says_what_to_do(
    hook, make_runner, prompts, classes
):
    first = make_runner()
    hook.before_train(first)
    resumed = make_runner(iteration=7, prompts={**prompts, 'classes': classes})
    # MMEngine also loads what fits and logs the rest.
    load_state_dict(resumed.model, first.model.state_dict())
    with pytest.raises(DictionaryError, match='other prompts') as caught:
        hook.before_train(resumed)
    assert 'load_from' in str(caught.value)
    assert first.model.dictionary.stored_fingerprint[:12] in str(caught.value)


def test_resuming_with_another_text_tower_is_an_error(hook, make_runner):
    first = make_runner()
    hook.before_train(first)
    resumed = make_runner(iteration=7)
    resumed.model.load_state_dict(first.model.state_dict())
    resumed.model.backbone.clip_spec = CLIPSpec('mcdrl-tiny-vit')
    with pytest.raises(DictionaryError, match='text weights'):
        hook.before_train(resumed)


def test_resuming_from_a_checkpoint_without_dictionary_is_an_error(hook, make_runner):
    with pytest.raises(DictionaryError, match='not built'):
        hook.before_train(make_runner(iteration=7))


def test_a_start_from_a_checkpoint_with_the_same_prompts_keeps_its_dictionary(
    hook, make_runner, first, text_passes
):
    second = make_runner()
    second.model.load_state_dict(first.model.state_dict())
    hook.before_train(second)
    assert text_passes == []


PRIOR = dict(glare=0.5, dark=0.3, blur=0.2)


@pytest.mark.parametrize(
    ('prior', 'expected'), [(PRIOR, [0.5, 0.3, 0.2]), ('uniform', [1 / 3] * 3)]
)
def test_a_start_from_a_checkpoint_with_another_prior_uses_that_of_the_config(
    hook, make_runner, prior, expected
):
    first = make_runner(prior=dict(glare=0.1, dark=0.1, blur=0.8))
    hook.before_train(first)
    second = make_runner(prior=prior)
    second.model.load_state_dict(first.model.state_dict())
    hook.before_train(second)
    found = second.model.dictionary.confounder_prior
    assert_close(found, torch.tensor(expected))


def test_the_prior_is_assigned_by_the_names_of_the_entries_in_the_checkpoint(
    hook, make_runner, prompts
):
    """Its families are in another order than those of the config."""
    first = make_runner()
    hook.before_train(first)
    checkpoint = dict(meta={}, state_dict=first.model.state_dict())
    hook.before_save_checkpoint(first, checkpoint)
    families = dict(reversed(prompts['confounders'].items()))
    second = make_runner(prompts={**prompts, 'confounders': families}, prior=PRIOR)
    hook.after_load_checkpoint(second, checkpoint)
    second.model.load_state_dict(checkpoint['state_dict'])
    hook.before_train(second)
    dictionary = second.model.dictionary
    assert dictionary.prompts.confounder_names == ('glare', 'dark', 'blur')
    assert_close(dictionary.confounder_prior, torch.tensor([0.5, 0.3, 0.2]))


def test_resuming_with_another_prior_is_an_error(hook, make_runner, first):
    resumed = make_runner(iteration=7, prior=PRIOR)
    resumed.model.load_state_dict(first.model.state_dict())
    theirs = r'0\.3333.* but the config has \[0\.5, 0\.3, 0\.2\]'
    with pytest.raises(DictionaryError, match=theirs):
        hook.before_train(resumed)


@pytest.mark.parametrize('prior', [PRIOR, 'uniform', 'estimated'])
def test_a_test_of_a_checkpoint_with_another_prior_is_refused(
    hook, make_runner, first, prior
):
    tested = make_runner(prior=prior)
    tested.model.load_state_dict(first.model.state_dict())
    if prior != PRIOR:
        hook.before_test(tested)
        return
    with pytest.raises(DictionaryError, match='trained with the prior'):
        hook.before_test(tested)


def test_a_start_from_a_checkpoint_with_other_prompts_builds_a_new_dictionary(
    hook, make_runner, prompts
):
    first = make_runner(prompts={**prompts, 'classes': ['polyp', 'nodule']})
    hook.before_train(first)
    second = make_runner()
    second.model.load_state_dict(first.model.state_dict())
    hook.before_train(second)
    fresh = make_runner()
    hook.before_train(fresh)
    one, other = (r.model.dictionary.state_dict() for r in (second, fresh))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ('conditions', 'kept'),
    [
        (['glare', 'dark', 'blur'], True),
        (['glare', 'dark', 'mucus'], False),
        (['glare', 'dark'], False),
    ],
)
def test_score_statistics_are_kept_only_if_the_entries_of_the_checkpoint_are(
    hook, make_runner, prompts, conditions, kept
):
    def runner_of(conditions):
        words = {**prompts, 'confounders': dict(all=conditions)}
        runner = make_runner()
        runner.model.dictionary = None
        runner.model.head = CausalInterventionHead(
            predictor=dict(type='FCNHead', in_channels=128, channels=8, num_classes=3),
            dictionary=dict(type='ConfounderDictionary', prompts=words, embed_dims=128),
            in_channels=128,
            intervention=dict(
                type='CausalIntervention', num_layers=1, observe_confounders=True
            ),
        )
        return runner

    def scored(runner):
        head = runner.model.head
        return head.confounder_scores(torch.randn(4, 128), head.dictionary.entries)

    first, second = runner_of(['glare', 'dark', 'blur']), runner_of(conditions)
    hook.before_train(first)
    for _ in range(3):
        scored(first)
    load_state_dict(second.model, first.model.state_dict())
    hook.before_train(second)
    # The first batch of new entries is standardised by itself.
    assert (scored(second).mean(dim=0).abs() < 1e-3).all() == (not kept)
    assert second.model.head.confounder_scores.steps == (4 if kept else 1)


def test_every_dictionary_of_a_wrapped_model_is_built(hook, make_runner):
    runner = make_runner()
    model = runner.model
    model.auxiliary = make_runner(source='shuffled').model.dictionary
    runner.model = nn.DataParallel(model)
    hook.before_train(runner)
    assert model.dictionary.is_built
    assert model.auxiliary.is_built
    assert not torch.equal(model.dictionary.entries, model.auxiliary.entries)
    assert_close(model.dictionary.class_embeddings, model.auxiliary.class_embeddings)


def test_a_model_without_dictionary_runs_no_text_tower(hook, make_runner, text_passes):
    runner = make_runner(model=nn.Linear(1, 1))
    hook.before_train(runner)
    assert text_passes == []


def test_a_backbone_without_clip_is_an_error_that_names_both_remedies(
    hook, make_runner
):
    runner = make_runner()
    runner.model.backbone = nn.Linear(1, 1)
    with pytest.raises(DictionaryError, match='Linear has no CLIP tower') as caught:
        hook.before_train(runner)
    assert 'CLIPVisionBackbone' in str(caught.value)
    assert 'CLIPGuidedBackbone' in str(caught.value)


def test_a_dictionary_of_another_width_than_the_joint_space_is_an_error(
    hook, make_runner
):
    with pytest.raises(DictionaryError, match=r'width 128.*embed_dims=64'):
        hook.before_train(make_runner(embed_dims=64))


@pytest.mark.parametrize(
    ('labels', 'fits'),
    [
        (('background', 'polyp', 'cyst'), True),
        (('background', 'cyst', 'polyp'), False),
        (('background', 'lesion'), True),
        (('background', 'colon polyp', 'cyst'), True),
    ],
)
def test_prompts_in_another_order_than_the_labels_prevent_training(
    hook, make_runner, labels, fits
):
    """Labels and prompts are matched by position: each would get another text."""
    runner = make_runner()
    runner.train_dataloader.dataset.metainfo = dict(classes=labels)
    if fits:
        hook.before_train(runner)
    else:
        with pytest.raises(DictionaryError, match=r"'cyst', 'polyp'.*in the order of"):
            hook.before_train(runner)
    assert runner.model.dictionary.is_built == fits


@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: dataset,
        lambda dataset: ConcatDataset([dataset], lazy_init=True),
        lambda dataset: RepeatDataset(dataset, times=2, lazy_init=True),
    ],
    ids=['plain', 'concatenated', 'repeated'],
)
@pytest.mark.parametrize(
    ('prompted', 'lacking'),
    [
        (['polyp', 'cyst', 'ulcer'], []),
        (['polyp', 'cyst'], ['ulcer']),
        (['nodule', 'cyst'], ['polyp', 'ulcer']),
        # One prompt for all lesions.
        (['lesion'], []),
    ],
)
def test_lesion_classes_without_prompt_prevent_training(
    hook, make_runner, prompts, wrap, prompted, lacking
):
    sites = [
        dict(name='a', lesion_classes=['polyp']),
        dict(name='b', lesion_classes=['cyst', 'ulcer'], mask_values={0: 'background'}),
    ]
    runner = make_runner(prompts={**prompts, 'classes': prompted})
    dataset = EndoscopySiteDataset(sites, lazy_init=True)
    runner.train_dataloader.dataset = wrap(dataset)
    if lacking:
        with pytest.raises(DictionaryError, match=re.escape(f'{lacking} that have no')):
            hook.before_train(runner)
    else:
        hook.before_train(runner)
    assert runner.model.dictionary.is_built == (not lacking)


def test_lesions_that_mmseg_ignores_prevent_training(hook, make_runner, monkeypatch):
    module = 'mcdrl_mmseg.datasets.ignored_lesions.ignored_lesions'
    monkeypatch.setattr(module, lambda dataset: f'{len(dataset)} masks are wrong.')
    runner = make_runner()
    size = len(runner.train_dataloader.dataset)
    with pytest.raises(DictionaryError, match=f'^{size} masks are wrong.$'):
        hook.before_train(runner)
    assert not runner.model.dictionary.is_built


def test_a_guided_backbone_with_another_normalisation_prevents_training(
    hook, make_runner
):
    init_default_scope('mmseg')
    runner = make_runner()
    runner.model.backbone = CLIPGuidedBackbone(
        dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8),
        dict(model_name='mcdrl-tiny-rn'),
    )
    with pytest.raises(ValueError, match='Set mean, std and bgr'):
        hook.before_train(runner)
    assert not runner.model.dictionary.is_built


def test_a_prior_is_estimated_once_per_training_and_not_when_resuming(
    hook, make_runner, monkeypatch
):
    calls = []

    def estimate(runner, dictionary, images, temperature):
        assert dictionary.is_built
        calls.append((images, temperature))
        return torch.tensor([0.6, 0.3, 0.1])

    monkeypatch.setattr('mcdrl_mmseg.engine.confounder_prior.estimate_prior', estimate)
    hook.prior_images, hook.prior_temperature = 9, 0.05
    runner = make_runner(prior='estimated')
    hook.before_train(runner)
    assert calls == [(9, 0.05)]
    prior = runner.model.dictionary.confounder_prior
    assert_close(prior, torch.tensor([0.6, 0.3, 0.1]))
    resumed = make_runner(iteration=3, prior='estimated')
    resumed.model.load_state_dict(runner.model.state_dict())
    hook.before_train(resumed)
    assert len(calls) == 1
    hook.before_train(make_runner())
    assert len(calls) == 1
    # Another training, on other images, that starts from these weights.
    second = make_runner(prior='estimated')
    second.model.load_state_dict(runner.model.state_dict())
    hook.before_train(second)
    assert len(calls) == 2


def test_a_failure_of_rank_0_is_sent_to_the_other_ranks_before_it_is_raised(
    hook, make_runner, monkeypatch
):
    told = []

    def embed(*_):
        raise RuntimeError('no weights')

    monkeypatch.setattr('mcdrl_mmseg.clip.text.embed_texts', embed)
    monkeypatch.setattr(
        f'{MAIN_PROCESS}.broadcast_object_list',
        lambda message: told.append(list(message)),
    )
    with pytest.raises(RuntimeError, match='no weights'):
        hook.before_train(make_runner())
    assert told[-1] == ['no weights', None]


def test_other_ranks_raise_the_failure_of_rank_0(hook, make_runner, monkeypatch):
    def receive(message):
        message[:] = ['no weights', None]

    monkeypatch.setattr(f'{MAIN_PROCESS}.get_rank', lambda: 1)
    monkeypatch.setattr(f'{MAIN_PROCESS}.broadcast_object_list', receive)
    with pytest.raises(DictionaryError, match='Rank 0 failed: no weights'):
        hook.before_train(make_runner())


def test_other_ranks_get_every_buffer_by_broadcast_without_a_text_tower(
    hook, make_runner, monkeypatch, text_passes, tmp_path
):
    main = make_runner()
    sent = []
    monkeypatch.setattr(f'{MODULE}.broadcast', lambda t: sent.append(t.clone()))
    hook.before_train(main)
    text_passes.clear()

    fingerprint = main.model.dictionary.stored_fingerprint
    messages = iter([[None, fingerprint], [None, None]])

    def receive(message):
        message[:] = next(messages)

    monkeypatch.setattr(f'{MAIN_PROCESS}.get_rank', lambda: 1)
    monkeypatch.setattr(f'{MAIN_PROCESS}.broadcast_object_list', receive)
    monkeypatch.setattr(f'{MODULE}.broadcast', lambda t: t.copy_(sent.pop(0)))
    other = make_runner()
    ConfounderDictionaryHook(str(tmp_path / 'another machine')).before_train(other)
    assert text_passes == []
    assert sent == []
    one, two = (r.model.dictionary.state_dict() for r in (main, other))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_global_random_state_is_untouched(hook, make_runner):
    runner = make_runner()
    torch.manual_seed(123)
    before = torch.get_rng_state()
    hook.before_train(runner)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_hook_is_built_with_the_cache_folder_of_the_environment(monkeypatch):
    monkeypatch.setenv('MCDRL_CACHE_DIR', '/some/where')
    hook = HOOKS.build(dict(type='ConfounderDictionaryHook'))
    assert str(hook.cache_dir) == '/some/where'


def test_a_checkpoint_records_the_condition_names_in_the_order_of_the_entries(
    hook, make_runner
):
    checkpoint = dict(meta={})
    hook.before_save_checkpoint(make_runner(), checkpoint)
    assert checkpoint['meta']['confounder_names'] == ['glare', 'dark', 'blur']


@pytest.fixture
def two_heads(make_runner, prompts):
    """Makes a runner with an auxiliary head, whose dictionary has the given words."""

    def make(**confounders):
        runner = make_runner()
        model, other = runner.model, {**prompts, 'confounders': confounders}
        model.decode_head, model.auxiliary_head = nn.Module(), nn.Module()
        model.decode_head.dictionary = model.dictionary
        del model.dictionary
        model.auxiliary_head.dictionary = ConfounderDictionary(other, embed_dims=128)
        return runner

    return make


def test_a_checkpoint_of_two_heads_records_the_words_of_both(hook, two_heads):
    checkpoint = dict(meta={})
    hook.before_save_checkpoint(two_heads(z=['sun'], a=['fog']), checkpoint)
    assert checkpoint['meta']['confounder_names'] == ['glare', 'dark', 'blur']
    # The families as MMEngine writes them, sorted.
    same = two_heads(a=['fog'], z=['sun'])
    hook.after_load_checkpoint(same, checkpoint)
    hook.before_test(same)
    names = same.model.auxiliary_head.dictionary.prompts.confounder_names
    assert names == ('sun', 'fog')
    other = two_heads(z=['moon'], a=['fog'])
    hook.after_load_checkpoint(other, checkpoint)
    with pytest.raises(DictionaryError, match=r'sun.* instead of the texts .*moon'):
        hook.before_test(other)


@pytest.mark.parametrize('older', [False, True])
def test_a_test_with_other_confounder_words_is_refused_and_names_them(
    hook, make_runner, prompts, older
):
    """The shapes fit: scores would be computed with the words of the training."""
    checkpoint = dict(meta={})
    hook.before_save_checkpoint(make_runner(), checkpoint)
    if older:
        del checkpoint['meta']['dictionary_texts']
    same = make_runner()
    hook.after_load_checkpoint(same, checkpoint)
    hook.before_test(same)
    families = dict(lighting=['sun', 'dark'], quality=['blur'])
    other = make_runner(prompts={**prompts, 'confounders': families})
    hook.after_load_checkpoint(other, checkpoint)
    with pytest.raises(DictionaryError, match=r'glare.* instead of the texts .*sun'):
        hook.before_test(other)


@pytest.mark.parametrize(
    'changed', [dict(classes=['polyp', 'nodule']), dict(class_template='One {class}')]
)
def test_a_test_with_other_class_words_is_refused(hook, make_runner, prompts, changed):
    checkpoint = dict(meta={})
    hook.before_save_checkpoint(make_runner(), checkpoint)
    other = make_runner(prompts={**prompts, **changed})
    hook.after_load_checkpoint(other, checkpoint)
    for evaluates in (hook.before_test, hook.before_val):
        with pytest.raises(
            DictionaryError, match=r'instead of the texts .* of the config'
        ):
            evaluates(other)
    # A training from these weights embeds its own words, and validates with them.
    hook.before_train(other)
    hook.before_val(other)


def test_a_test_with_the_same_words_in_another_order_is_refused(
    hook, make_runner, prompts
):
    """Each class would be scored as another one, each entry named as another one."""
    prompts = {**prompts, 'background_prompts': ['healthy', 'no lesion']}
    checkpoint = dict(meta={})
    hook.before_save_checkpoint(make_runner(prompts=prompts), checkpoint)

    def refused(**changed):
        other = make_runner(prompts={**prompts, **changed})
        hook.after_load_checkpoint(other, checkpoint)
        try:
            hook.before_test(other)
        except DictionaryError as error:
            return str(error)
        return None

    swapped = refused(classes=prompts['classes'][::-1])
    first, second = PromptSet.from_cfg(prompts).class_texts
    assert f'{first!r} where the config has {second!r}' in swapped
    families = prompts['confounders']
    within = {name: list(reversed(words)) for name, words in families.items()}
    assert 'another order' in refused(confounders=within)
    # Texts whose order does not matter, and an order that is corrected.
    assert refused(background_prompts=['no lesion', 'healthy']) is None
    assert refused(confounders=dict(reversed(families.items()))) is None


def test_training_from_weights_of_other_words_embeds_its_own_words(
    hook, make_runner, prompts
):
    first = make_runner()
    hook.before_train(first)
    checkpoint = dict(meta={}, state_dict=first.model.state_dict())
    hook.before_save_checkpoint(first, checkpoint)
    second = make_runner(prompts={**prompts, 'classes': ['polyp', 'nodule']})
    hook.after_load_checkpoint(second, checkpoint)
    second.model.load_state_dict(checkpoint['state_dict'])
    hook.before_train(second)
    ours, theirs = (r.model.dictionary.class_embeddings for r in (second, first))
    assert not torch.equal(ours[1], theirs[1])


def test_resuming_with_families_in_another_order_uses_that_of_the_checkpoint(
    hook, make_runner, prompts
):
    """MMEngine sorts them in the config that it leaves in a work folder."""
    first = make_runner(prior=PRIOR)
    hook.before_train(first)
    checkpoint = dict(meta={}, state_dict=first.model.state_dict())
    hook.before_save_checkpoint(first, checkpoint)
    families = dict(reversed(prompts['confounders'].items()))
    prompts = {**prompts, 'confounders': families}
    resumed = make_runner(iteration=7, prompts=prompts, prior=PRIOR)
    other = resumed.model.dictionary.prompts.confounder_names
    assert other == ('blur', 'glare', 'dark')
    hook.after_load_checkpoint(resumed, checkpoint)
    resumed.model.load_state_dict(checkpoint['state_dict'])
    hook.before_train(resumed)
    dictionary = resumed.model.dictionary
    assert dictionary.prompts.confounder_names == ('glare', 'dark', 'blur')
    assert_close(dictionary.confounder_prior, torch.tensor([0.5, 0.3, 0.2]))


@pytest.mark.parametrize('meta', [None, {}, dict(confounder_names=['glare', 'dark'])])
def test_a_checkpoint_without_the_full_order_of_entries_leaves_the_order_unchanged(
    hook, make_runner, meta
):
    runner = make_runner()
    hook.after_load_checkpoint(runner, dict(meta=meta))
    names = runner.model.dictionary.prompts.confounder_names
    assert names == ('glare', 'dark', 'blur')


@pytest.mark.parametrize('cached', [False, True])
def test_prompts_that_the_tokenizer_does_not_tell_apart_are_refused(
    hook, make_runner, prompts, monkeypatch, cached
):
    """To the sentence encoder each letter of both words is the unknown word."""
    from mcdrl_mmseg.clip.embedding_cache import cache_file, write_embeddings
    from mcdrl_mmseg.clip.word_pieces import published_pieces

    encode = published_pieces().encode
    assert encode('息肉') == encode('溃疡')
    words = {**prompts, 'classes': ['息肉', '溃疡']}
    runner = make_runner(prompts=words)
    dictionary = runner.model.dictionary
    rows = torch.nn.functional.normalize(torch.randn(TEXTS, 128), dim=1)
    rows[1] = rows[0] + 1e-8  # the second class
    monkeypatch.setattr('mcdrl_mmseg.clip.text.embed_texts', lambda *_: rows)
    if cached:
        identity = CLIPSpec('mcdrl-tiny-rn').identity()
        fingerprint = dictionary.expected_fingerprint(identity)
        write_embeddings(cache_file(hook.cache_dir, fingerprint), fingerprint, rows)
    with pytest.raises(DictionaryError, match=r'息肉.*溃疡.* the same embedding'):
        hook.before_train(runner)
    assert not dictionary.is_built
    rows[1] = -rows[0]
    if not cached:
        hook.before_train(runner)
