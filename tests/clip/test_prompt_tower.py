"""The choice of the text tower for learned prompts."""

import pytest

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.clip.clip_prompt_tower import CLIPPromptTower
from mcdrl_mmseg.clip.prompt_tower import build_prompt_tower
from mcdrl_mmseg.clip.sentence_prompt_tower import SentencePromptTower


@pytest.mark.parametrize(
    ('name', 'kind'),
    [('mcdrl-tiny-rn', CLIPPromptTower), ('mcdrl-endo-lite0', SentencePromptTower)],
)
def test_the_prompt_tower_matches_the_text_side_of_the_model(
    name, kind, small_vocabulary
):
    assert type(build_prompt_tower(CLIPSpec(name))) is kind
