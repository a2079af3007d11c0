"""The name tables of Qwen3-VL in transformers' files (`Qwen3VLForConditionalGeneration`).

Names stand as those of a tower alone; `transformers_qwen3_vl` has both, as files of the whole model
name them. The map to words behind the last norm is left out: an encoder has none.
"""

from collections.abc import Iterable, Iterator

from wamjax.codec.qwen3 import Qwen3Sizes
from wamjax.codec.qwen3_vision import VisionSizes
from wamjax.codec.qwen3_vl import Qwen3VlSizes
from wamjax.pretrained.modules import (
    AFFINE,
    BACK,
    BIAS,
    HEADS,
    LINEAR,
    MATRIX,
    SCALE,
    Held,
    Part,
    rules,
)
from wamjax.pretrained.table import Rule, Table

# The name of a module, our path, what it holds, which of several in our leaf (or None).
Row = tuple[str, str, Held, int | None]

TABLE = (Part(".weight", ""),)
KEYS = (Part(".weight", "/kernel", "(k d) w -> w k d", 2),)
PATCH = (Part(".weight", "/kernel", "w c t i j -> t i j c w"), BIAS)
QKV = (
    Part(".weight", "/kernel", "(s v d) w -> w s v d"),
    Part(".bias", "/bias", "(s v d) -> s v d"),
)
VISION_BACK = (Part(".weight", "/kernel", "w (v d) -> v d w"), BIAS)

LANGUAGE_LAYER: tuple[Row, ...] = (
    ("input_layernorm", "attention_norm", SCALE, None),
    ("self_attn.q_proj", "q", HEADS, None),
    ("self_attn.k_proj", "kv", KEYS, 0),
    ("self_attn.v_proj", "kv", KEYS, 1),
    ("self_attn.q_norm", "query_norm", SCALE, None),
    ("self_attn.k_norm", "key_norm", SCALE, None),
    ("self_attn.o_proj", "out", BACK, None),
    ("post_attention_layernorm", "mlp_norm", SCALE, None),
    ("mlp.gate_proj", "gate", MATRIX, None),
    ("mlp.up_proj", "up", MATRIX, None),
    ("mlp.down_proj", "down", MATRIX, None),
)
LANGUAGE: tuple[Row, ...] = (
    ("embed_tokens", "embedding", TABLE, None),
    ("norm", "norm", SCALE, None),
)
VISION_LAYER: tuple[Row, ...] = (
    ("norm1", "attention_norm", AFFINE, None),
    ("attn.qkv", "qkv", QKV, None),
    ("attn.proj", "out", VISION_BACK, None),
    ("norm2", "mlp_norm", AFFINE, None),
    ("mlp.linear_fc1", "up", LINEAR, None),
    ("mlp.linear_fc2", "down", LINEAR, None),
)
MERGER: tuple[Row, ...] = (
    ("norm", "norm", AFFINE, None),
    ("linear_fc1", "up", LINEAR, None),
    ("linear_fc2", "down", LINEAR, None),
)
VISION: tuple[Row, ...] = (
    ("patch_embed.proj", "patch", PATCH, None),
    ("pos_embed", "place", TABLE, None),
)


def transformers_qwen3(sizes: Qwen3Sizes) -> Table:
    """Of `Qwen3VLTextModel`."""
    counts, split = _language_counts(sizes)
    return Table(rules=tuple(_language()), counts=counts, sizes=split)


def transformers_qwen3_vision(sizes: VisionSizes) -> Table:
    """Of `Qwen3VLVisionModel`."""
    counts, split = _vision_counts(sizes)
    return Table(rules=tuple(_vision()), counts=counts, sizes=split)


def transformers_qwen3_vl(sizes: Qwen3VlSizes) -> Table:
    """Of `Qwen3VLForConditionalGeneration`; what makes words of the last tokens is left out."""
    (words, heads), (sight, parts) = _language_counts(sizes.language), _vision_counts(sizes.vision)
    return Table(
        rules=(
            *_vision("model.visual.", "visual/"),
            *_language("model.language_model.", "language/"),
        ),
        counts=words | sight,
        sizes=heads | parts,
        ignored=(r"lm_head\.weight",),
    )


def _language_counts(sizes: Qwen3Sizes) -> tuple[dict[str, int], dict[str, int]]:
    """A table's counts and sizes."""
    heads = {"h": sizes.layers.heads, "k": sizes.layers.kv_heads}
    return {"layer": sizes.layers.depth}, heads


def _vision_counts(sizes: VisionSizes) -> tuple[dict[str, int], dict[str, int]]:
    """A table's counts and sizes."""
    counts = {"block": sizes.layers.depth, "tap": len(sizes.taps)}
    return counts, {"v": sizes.layers.heads, "s": 3}


def _language(theirs: str = "", ours: str = "") -> Iterator[Rule]:
    yield from _rules(LANGUAGE, theirs, ours)
    yield from _rules(LANGUAGE_LAYER, f"{theirs}layers.{{layer}}.", f"{ours}layers/")


def _vision(theirs: str = "", ours: str = "") -> Iterator[Rule]:
    yield from _rules(VISION, theirs, ours)
    yield from _rules(VISION_LAYER, f"{theirs}blocks.{{block}}.", f"{ours}layers/")
    yield from _rules(MERGER, f"{theirs}merger.", f"{ours}merger/")
    deep = "deepstack_merger_list.{tap}."
    yield from _rules(MERGER, theirs + deep, f"{ours}deep_{{tap}}/")


def _rules(rows: Iterable[Row], theirs: str, ours: str) -> Iterator[Rule]:
    modules = [(name, name, path, held, slot) for name, path, held, slot in rows]
    return rules(modules, 0, theirs, ours)
