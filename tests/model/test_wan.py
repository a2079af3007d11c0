"""The block with Wan's settings is diffusers' Wan, given the same weights."""

import copy

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.model.config import Port, Stack, WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment
from wamjax.model.wam import Tokens, Wam, latents_from_tokens, tokens_from_latents
from wamjax.recipes.backbones import WAN_ROTARY, wan

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
diffusers = pytest.importorskip(
    "diffusers", reason="the reference; the extra `reference` brings it"
)

HEADS, HEAD_DIM, DEPTH, MLP, TEXT, CHANNELS = 3, 16, 3, 80, 12, 5
WIDTH = HEADS * HEAD_DIM
CONFIG = WamConfig(
    stacks=(
        Stack(
            name="video",
            depth=DEPTH,
            heads=HEADS,
            head_dim=HEAD_DIM,
            experts=(wan("video", WIDTH, MLP),),
            rotary=WAN_ROTARY,
        ),
    ),
    ports=(
        Port(stream="text", into="text", embed="mlp", width=WIDTH, kind=False),
        Port(stream="video", into="video", kind=False, head="table"),
    ),
    patch=2,
)
TABLE = (
    ("video/noisy", "video/noisy", "all"),
    ("video/noisy", "text/clean", "all"),
)


def reference(seed: int):
    """diffusers' model with noise on every weight."""
    torch.manual_seed(seed)
    model = diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=HEADS,
        attention_head_dim=HEAD_DIM,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        text_dim=TEXT,
        freq_dim=256,
        ffn_dim=MLP,
        num_layers=DEPTH,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model.eval()


def converted(state: dict[str, np.ndarray]) -> dict:
    """diffusers' weights in our tree."""

    def linear(name: str) -> dict:
        return {"kernel": state[f"{name}.weight"].T, "bias": state[f"{name}.bias"]}

    def headed(names: list[str]) -> dict:
        kernels = [state[f"{name}.weight"].T.reshape(WIDTH, HEADS, HEAD_DIM) for name in names]
        biases = [state[f"{name}.bias"].reshape(HEADS, HEAD_DIM) for name in names]
        if len(names) == 1:
            return {"kernel": kernels[0], "bias": biases[0]}
        return {"kernel": np.stack(kernels, 2), "bias": np.stack(biases, 1)}

    def back(name: str) -> dict:
        kernel = state[f"{name}.weight"].T.reshape(HEADS, HEAD_DIM, WIDTH)
        return {"kernel": kernel, "bias": state[f"{name}.bias"]}

    def normed(name: str) -> dict:
        return {"norm": {"scale": state[f"{name}.weight"]}}

    layers = []
    for place in range(DEPTH):
        b = f"blocks.{place}"
        layers.append(
            {
                "video_in": {
                    "modulation": {"table": state[f"{b}.scale_shift_table"][0]},
                    "qkv": headed([f"{b}.attn1.to_{x}" for x in "qkv"]),
                    "query_norm": normed(f"{b}.attn1.norm_q"),
                    "key_norm": normed(f"{b}.attn1.norm_k"),
                },
                "video_memory": {
                    "kv": headed([f"{b}.attn2.to_{x}" for x in "kv"]),
                    "key_norm": normed(f"{b}.attn2.norm_k"),
                },
                "video_out": {
                    "out": back(f"{b}.attn1.to_out.0"),
                    "memory_norm": {
                        "scale": state[f"{b}.norm2.weight"],
                        "bias": state[f"{b}.norm2.bias"],
                    },
                    "memory_q": headed([f"{b}.attn2.to_q"]),
                    "memory_query_norm": normed(f"{b}.attn2.norm_q"),
                    "memory_out": back(f"{b}.attn2.to_out.0"),
                    "mlp": {
                        "up": linear(f"{b}.ffn.net.0.proj"),
                        "down": linear(f"{b}.ffn.net.2"),
                    },
                },
            }
        )
    # A patch of diffusers' convolution is (channel, row, column), ours (row, column, channel).
    patch = state["patch_embedding.weight"][:, :, 0].transpose(2, 3, 1, 0).reshape(-1, WIDTH)
    embedder = "condition_embedder"
    shared = linear(f"{embedder}.time_proj")
    return {
        "stack_video": {"layers": jax.tree.map(lambda *rows: np.stack(rows), *layers)},
        "embed_text": {
            "in": {"one": linear(f"{embedder}.text_embedder.linear_1")},
            "out": linear(f"{embedder}.text_embedder.linear_2"),
        },
        "embed_video": {"in": {"one": {"kernel": patch, "bias": state["patch_embedding.bias"]}}},
        "level_video": {
            "in": linear(f"{embedder}.time_embedder.linear_1"),
            "out": linear(f"{embedder}.time_embedder.linear_2"),
            "shared": {
                "kernel": shared["kernel"].reshape(WIDTH, 6, WIDTH),
                "bias": shared["bias"].reshape(6, WIDTH),
            },
        },
        "head_video": {
            "table": state["scale_shift_table"][0],
            "out": {"one": linear("proj_out")},
        },
    }


@pytest.mark.parametrize(
    ("seed", "shape", "batch", "words"),
    [(0, (3, 4, 6), 2, 7), (1, (1, 8, 8), 1, 5), (2, (5, 2, 4), 3, 9)],
)
@pytest.mark.law("j", "wan")
@pytest.mark.parametrize("per_frame", [False, True])
def test_the_block_is_wan(seed, shape, batch, words, per_frame):
    model = reference(seed)
    frames, height, width = shape
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(batch, frames, height, width, CHANNELS)).astype(np.float32)
    text = rng.normal(size=(batch, words, TEXT)).astype(np.float32)
    sigma = rng.uniform(size=(batch, frames if per_frame else 1)).astype(np.float32)

    grid = {"rows": height // 2, "columns": width // 2}
    pieces = frames if per_frame else 1
    segments = (
        Segment(stream="text", frames=words),
        *(
            Segment(stream="video", copy="noisy", frames=frames // pieces, start=place, **grid)
            for place in range(pieces)
        ),
    )
    layout = Layout(segments, TABLE)
    ours = Wam(CONFIG, layout, (("text", TEXT), ("video", 4 * CHANNELS)))
    parts = np.split(latents, pieces, axis=1)
    tokens = Tokens(
        (jnp.asarray(text), *(tokens_from_latents(jnp.asarray(part), 2) for part in parts)),
        jnp.ones((batch, sum(s.count for s in segments)), bool),
    )
    levels = {"video": jnp.asarray(sigma)}
    params = converted({name: x.detach().numpy() for name, x in model.state_dict().items()})
    fresh = jax.eval_shape(
        lambda key: nn.unbox(ours.init(key, layout, tokens, levels, method="denoise")),
        jax.random.key(0),
    )["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, fresh)
    got = jax.jit(lambda p: ours.apply({"params": p}, layout, tokens, levels, method="denoise"))(
        params
    )["video"]
    # diffusers' output tokens are (row, column, channel) too, before it folds them back.
    got = latents_from_tokens(got, (frames, height // 2, width // 2), 2)

    time = 1000 * torch.tensor(sigma)
    time = time.repeat_interleave(height * width // 4, dim=1) if per_frame else time[:, 0]
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        single, want = (
            kind(
                torch.tensor(latents.transpose(0, 4, 1, 2, 3), dtype=dtype),
                time,
                torch.tensor(text, dtype=dtype),
            )
            .sample.numpy()
            .transpose(0, 2, 3, 4, 1)
            for kind, dtype in ((model, torch.float32), (double, torch.float64))
        )
    largest = np.abs(want).max()
    ours_off, theirs_off = (np.abs(x - want).max() / largest for x in (got, single))
    print(f"off from float64, relative: ours {ours_off:.1e}, diffusers {theirs_off:.1e}")
    assert ours_off < 1e-5
