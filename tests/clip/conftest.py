"""Small CLIP models with weights that make every part matter."""

import copy
import warnings

import pytest
import torch
from small_encoder import encoder_file, installed_encoder, small_vocabulary

TINY_MODELS = ('mcdrl-tiny-vit', 'mcdrl-tiny-rn')


def random_clip(model_name: str, seed: int = 0, **kwargs) -> torch.nn.Module:
    """open_clip's own model, with random weights and batch norm statistics.

    At initialisation residual branches are all but closed: a wrong one would go
    unnoticed.
    """
    import open_clip

    from mcdrl_mmseg.clip.model_config import get_model_config

    get_model_config(model_name)
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = open_clip.create_model(model_name, **kwargs).eval()
        with torch.no_grad():
            for parameter in model.visual.parameters():
                noise = torch.randn_like(parameter) * 0.3
                if parameter.ndim == 1:
                    parameter.add_(noise)
                else:
                    scale = parameter[0].numel() ** -0.5
                    parameter.copy_(torch.randn_like(parameter) * scale)
            if hasattr(model.visual, 'attnpool'):
                # Else attention over the few positions is all but uniform.
                for layer in (
                    model.visual.attnpool.q_proj,
                    model.visual.attnpool.k_proj,
                ):
                    layer.weight.mul_(4)
            for module in model.visual.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope='session')
def tiny_clips() -> dict[str, torch.nn.Module]:
    """Model name -> open_clip's model; do not change them."""
    return {name: random_clip(name) for name in TINY_MODELS}


@pytest.fixture(params=TINY_MODELS, scope='session')
def tiny_clip(request, tiny_clips) -> tuple[str, torch.nn.Module]:
    return request.param, tiny_clips[request.param]


@pytest.fixture(scope='session')
def images() -> torch.Tensor:
    """Two images of each tiny model's own size."""
    generator = torch.Generator().manual_seed(7)
    return {
        'mcdrl-tiny-vit': torch.randn(2, 3, 112, 112, generator=generator),
        'mcdrl-tiny-rn': torch.randn(2, 3, 128, 128, generator=generator),
    }


@pytest.fixture(scope='session')
def save_archive():
    """Writes a CLIP model as OpenAI's archives: traced, in half precision."""

    def save(model: torch.nn.Module, path) -> None:
        model = copy.deepcopy(model)
        del model.context_length
        for key, value in (('input_resolution', 128), ('context_length', 32)):
            model.register_buffer(key, torch.tensor(value))
        example = torch.zeros(1, 3, 128, 128), torch.zeros(1, 32, dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            traced = torch.jit.trace_module(
                model, {'forward': example}, check_trace=False
            )
        traced.half().save(str(path))

    return save
