"""openpi's own pi0 or pi0.5 at small sizes: its weights, what it is given, and its actions.

    PYTHON tests/pretrained/openpi_model.py pi0 SEED DIR

runs under a Python in which openpi can be imported (see test_openpi.py), and writes

    DIR/params        an Orbax tree as openpi saves it
    DIR/sample.npz    images, masks, words, state, noise; actions after ten steps

openpi builds one size of image encoder and one vocabulary: both are made smaller here, by the
arguments of its own modules, and every parameter gets noise. What it imports beside for PyTorch is
not there and not needed.
"""

import functools
import pathlib
import sys
import types

import jax
import numpy as np

for name in ("torch", "torch.nn", "torch.nn.functional", "openpi.models_pytorch.pi0_pytorch"):
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["torch"].Tensor = type("Tensor", (), {})
sys.modules["openpi.models_pytorch.pi0_pytorch"].__package__ = "openpi.models_pytorch"

import openpi.models.gemma as gemma  # noqa: E402
import openpi.models.model as base  # noqa: E402
import openpi.models.pi0 as pi0  # noqa: E402
import openpi.models.pi0_config as pi0_config  # noqa: E402
import openpi.models.siglip as siglip  # noqa: E402
import orbax.checkpoint as ocp  # noqa: E402
from flax import nnx  # noqa: E402

VISION = {"variant": "mu/14", "depth": 2, "width": 24, "mlp_dim": 40, "num_heads": 2}
VOCABULARY, WORDS, CHUNK, ACTION = 97, 9, 5, 6


def noisy(path, leaf, rng):
    """Around what layers start with: 1 for the image encoder's scales, else 0."""
    about = 1.0 if path[-1].key == "scale" and "img" in str(path) else 0.0
    fan = leaf.size // leaf.shape[-1] if leaf.ndim > 1 else 100
    fan = min(fan, 64)
    size = 0.1 if leaf.ndim < 3 and "bias" in str(path[-1]) else fan**-0.5
    return (about + size * rng.normal(size=leaf.shape)).astype(np.float32)


def main(version: str, seed: int, out: pathlib.Path) -> None:
    pi0._siglip = types.SimpleNamespace(Module=lambda **kw: siglip.Module(**{**kw, **VISION}))
    gemma.PALIGEMMA_VOCAB_SIZE = VOCABULARY
    config = pi0_config.Pi0Config(
        dtype="float32",
        paligemma_variant="dummy",
        action_expert_variant="dummy",
        action_dim=ACTION,
        action_horizon=CHUNK,
        max_token_len=WORDS,
        pi05=version == "pi05",
    )
    model = config.create(jax.random.key(0))
    graph, state = nnx.split(model)
    rng = np.random.default_rng(seed)
    params = jax.tree_util.tree_map_with_path(
        functools.partial(noisy, rng=rng), state.to_pure_dict()
    )
    state.replace_by_pure_dict(params)
    model = nnx.merge(graph, state)
    names = base.IMAGE_KEYS
    images = rng.uniform(-1, 1, (len(names), 2, 224, 224, 3)).astype(np.float32)
    masks = np.array([[True, True], [True, False], [True, True]])
    words = rng.integers(0, VOCABULARY, (2, WORDS), dtype=np.int32)
    there = np.arange(WORDS) < np.array([[6], [WORDS]])
    robot = rng.normal(size=(2, ACTION)).astype(np.float32)
    noise = rng.normal(size=(2, CHUNK, ACTION)).astype(np.float32)
    given = base.Observation(
        images=dict(zip(names, images, strict=True)),
        image_masks=dict(zip(names, masks, strict=True)),
        state=robot,
        tokenized_prompt=words,
        tokenized_prompt_mask=there,
    )
    with jax.default_matmul_precision("highest"):
        actions = nnx.jit(pi0.Pi0.sample_actions)(model, jax.random.key(0), given, noise=noise)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(
        out / "sample.npz",
        images=images,
        masks=masks,
        words=words,
        there=there,
        state=robot,
        noise=noise,
        actions=np.asarray(actions),
    )
    ocp.PyTreeCheckpointer().save((out / "params").resolve(), {"params": params})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]))
