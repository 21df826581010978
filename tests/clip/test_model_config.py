import pytest

from mcdrl_mmseg.clip.model_config import get_model_config


@pytest.mark.parametrize('name', ['mcdrl-tiny-vit', 'mcdrl-tiny-rn'])
def test_own_small_models_are_registered_beside_those_of_open_clip(name):
    import open_clip

    assert get_model_config(name)['embed_dim'] == 128
    assert {name, 'RN50', 'ViT-B-16', 'ViT-L-14'} <= set(open_clip.list_models())


def test_a_slash_in_a_model_name_means_a_dash():
    assert get_model_config('ViT-B/16') == get_model_config('ViT-B-16')
    assert get_model_config('ViT-B/16')['vision_cfg']['patch_size'] == 16


def test_an_unknown_name_is_an_error_that_suggests_similar_names():
    with pytest.raises(
        ValueError, match=r"'ViT-B-61' is not .*Did you mean .*ViT-B-16"
    ):
        get_model_config('ViT-B-61')


def test_own_models_are_registered_only_once():
    import open_clip.factory

    get_model_config('RN50')
    before = len(open_clip.factory._MODEL_CONFIG_PATHS)
    get_model_config('RN50')
    assert len(open_clip.factory._MODEL_CONFIG_PATHS) == before
