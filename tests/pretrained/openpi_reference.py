"""pi0 and pi0.5 in NumPy and float64, over weights by openpi's names.

Written from the published equations (arXiv 2410.24164, 2504.16054; Gemma 2403.08295; SigLIP
2303.15343) for sizes that openpi's own modules do not have: one pass over the whole sequence, no
cache. openpi itself is the reference in test_openpi.py, where it is installed.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Given:
    """What a policy is given: images [V, B, H, W, 3] in [-1, 1] and which there are [V, B], words
    [B, X] and which there are, the state [B, A] (pi0)."""

    images: np.ndarray
    masks: np.ndarray
    words: np.ndarray
    there: np.ndarray
    state: np.ndarray


class Weights(dict):
    """Tensors by name in float64, and those below a prefix."""

    def below(self, prefix: str, layer: int | None = None) -> "Weights":
        own = {k.removeprefix(prefix): x for k, x in self.items() if k.startswith(prefix)}
        return Weights(own if layer is None else {k: x[layer] for k, x in own.items()})

    def map(self, name: str, x: np.ndarray) -> np.ndarray:
        kernel = self[f"{name}/kernel"]
        return np.tensordot(x, kernel, 1) + self[f"{name}/bias"]


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(w, name, x):
    x = x - x.mean(-1, keepdims=True)
    unit = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    return unit * w[f"{name}/scale"] + w[f"{name}/bias"]


def rms_norm(w, name, x, told):
    """(normed, gate): by weights, or by what is told of the noise level [B, D]."""
    unit = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    if f"{name}/scale" in w:
        return unit * (1 + w[f"{name}/scale"]), 1.0
    scale, shift, gate = np.split(w.map(f"{name}/Dense_0", told)[:, None], 3, axis=-1)
    return unit * (1 + scale) + shift, gate


def image_tokens(w: Weights, image: np.ndarray) -> np.ndarray:
    """[B, H, W, 3] -> [B, patches, width of the language model]."""
    kernel = w["embedding/kernel"]
    p, width = kernel.shape[0], kernel.shape[-1]
    b, h, _, _ = image.shape
    cells = image.reshape(b, h // p, p, h // p, p, 3)
    x = np.einsum("bipjqc,pqcw->bijw", cells, kernel) + w["embedding/bias"]
    x = x.reshape(b, -1, width) + w["pos_embedding"]
    layers = w.below("Transformer/encoderblock/")
    for place in range(len(layers["LayerNorm_0/scale"])):
        own = layers.below("", place)
        at = own.below("MultiHeadDotProductAttention_0/")
        y = layer_norm(own, "LayerNorm_0", x)
        q, k, v = (at.map(name, y) for name in ("query", "key", "value"))
        weight = softmax(np.einsum("bnhd,bmhd->bhnm", q, k) / np.sqrt(q.shape[-1]))
        read = np.einsum("bhnm,bmhd->bnhd", weight, v)
        x = x + np.einsum("bnhd,hdw->bnw", read, at["out/kernel"]) + at["out/bias"]
        y = gelu(own.map("MlpBlock_0/Dense_0", layer_norm(own, "LayerNorm_1", x)))
        x = x + own.map("MlpBlock_0/Dense_1", y)
    return w.map("head", layer_norm(w, "Transformer/encoder_norm", x))


def turned(x: np.ndarray, place: np.ndarray) -> np.ndarray:
    """[B, N, heads, d] turned by its places [B, N]."""
    half = x.shape[-1] // 2
    angle = (place[..., None] / 10_000 ** (np.arange(half) / half))[:, :, None]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate(
        [a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1
    )


def layer(w: Weights, parts: list, told: np.ndarray, place: np.ndarray, seen: np.ndarray) -> list:
    """One layer over both experts' tokens."""
    ends, gates, projected = ("", "_1"), [], []
    for end, x in zip(ends, parts, strict=True):
        h, gate = rms_norm(w, f"pre_attention_norm{end}", x, told)
        q = np.einsum("btd,ndh->btnh", h, w[f"attn/q_einsum{end}/w"])
        k, v = np.einsum("btd,skdh->sbtkh", h, w[f"attn/kv_einsum{end}/w"])
        projected.append((q, k, v))
        gates.append(gate)
    q, k, v = (np.concatenate(both, 1) for both in zip(*projected, strict=True))
    group = q.shape[2] // k.shape[2]
    k, v = (np.repeat(y, group, 2) for y in (turned(k, place), v))
    score = np.einsum("bnhd,bmhd->bhnm", turned(q, place), k) / np.sqrt(q.shape[-1])
    read = np.einsum("bhnm,bmhd->bnhd", softmax(np.where(seen[:, None], score, -1e30)), v)
    out = []
    shares = np.split(read, [parts[0].shape[1]], 1)
    for end, x, gate, own in zip(ends, parts, gates, shares, strict=True):
        x = x + gate * np.einsum("bnhd,hdw->bnw", own, w[f"attn/attn_vec_einsum{end}/w"])
        h, last = rms_norm(w, f"pre_ffw_norm{end}", x, told)
        gated, up = w[f"mlp{end}/gating_einsum"]
        out.append(x + last * ((gelu(h @ gated) * (h @ up)) @ w[f"mlp{end}/linear"]))
    return out


def velocity(w: Weights, given: Given, noisy: np.ndarray, sigma: float) -> np.ndarray:
    """[B, K, A] of actions at a noise level."""
    model = w.below("PaliGemma/llm/")
    table = model["embedder/input_embedding"]
    prefix = [image_tokens(w.below("PaliGemma/img/"), image) for image in given.images]
    real = [np.repeat(there[:, None], prefix[0].shape[1], 1) for there in given.masks]
    prefix.append(table[given.words] * np.sqrt(table.shape[1]))
    real.append(given.there)
    suffix = [w.map("action_in_proj", noisy)]
    width, rows = suffix[0].shape[-1], len(noisy)
    fraction = np.linspace(0, 1, width // 2)
    angle = 2 * np.pi * sigma / (4e-3 * (4.0 / 4e-3) ** fraction)
    time = np.broadcast_to(np.concatenate([np.sin(angle), np.cos(angle)]), (rows, width))
    told = time
    if "state_proj/kernel" in w:
        both = [suffix[0], np.repeat(time[:, None], noisy.shape[1], 1)]
        mixed = silu(w.map("action_time_mlp_in", np.concatenate(both, -1)))
        suffix = [w.map("state_proj", given.state)[:, None], w.map("action_time_mlp_out", mixed)]
    else:
        told = silu(w.map("time_mlp_out", silu(w.map("time_mlp_in", time))))
    parts = [np.concatenate(prefix, 1), np.concatenate(suffix, 1)]
    real.append(np.ones(parts[1].shape[:2], bool))
    real = np.concatenate(real, 1)
    rank = np.repeat([0, 1, 2], [parts[0].shape[1], len(suffix) - 1, noisy.shape[1]])
    seen = (rank[:, None] >= rank[None]) & real[:, None]
    place = np.cumsum(real, 1) - 1
    for number in range(len(model["layers/mlp/linear"])):
        parts = layer(model.below("layers/", number), parts, told, place, seen)
    last, _ = rms_norm(model, "final_norm_1", parts[1], told)
    return w.map("action_out_proj", last[:, -noisy.shape[1] :])


def sampled(w: Weights, given: Given, noise: np.ndarray, steps: int = 10) -> np.ndarray:
    """The chunk after so many Euler steps from noise."""
    x = noise
    for step in range(steps):
        x = x - velocity(w, given, x, 1 - step / steps) / steps
    return x
