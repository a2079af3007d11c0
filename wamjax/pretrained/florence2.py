"""Name tables of Florence-2's encoder; its decoder and the head of words are left out.

transformers   `Florence2Model`; in files of the whole model and in LeRobot's of X-VLA there is a
               prefix before them ("model.", "model.vlm.")
original       Microsoft's own files, and X-VLA's ("vlm."): the names of the module that comes with
               them, as LeRobot had a copy (src/lerobot/policies/xvla/modeling_florence2.py at
               ddc2aa7) and transformers' converter tells
               (models/florence2/convert_florence2_original_pytorch_to_hf.py at 186d3ed)

The words' table is held by three modules. A writer of safetensors that keeps one name of each
tensor keeps the first in the alphabet, the encoder's: layouts with "-once".
"""

from collections.abc import Iterator

from wamjax.codec.florence2 import Florence2Sizes
from wamjax.pretrained.modules import AFFINE, LINEAR, Held, Module, Part, rules
from wamjax.pretrained.table import Rule, Table

# Where a name stands in a row of modules.
TRANSFORMERS, ORIGINAL = 0, 1

CONVOLUTION = (Part(".weight", "/kernel", "o c i j -> i j c o"), Part(".bias", "/bias"))
NEAR = (Part(".weight", "/kernel", "w 1 i j -> i j w"), Part(".bias", "/bias"))
OUT = (Part(".weight", "/kernel", "w (h d) -> h d w"), Part(".bias", "/bias"))
# Queries, keys and values, each a map of its own.
HEADS = (
    Part(".weight", "/kernel", "(h d) w -> w h d", 1),
    Part(".bias", "/bias", "(h d) -> h d", 0),
)
READER: tuple[Module, ...] = (
    *(
        (f"self_attn.{letter}_proj", f"self_attn.{letter}_proj", "qkv", HEADS, place)
        for place, letter in enumerate("qkv")
    ),
    ("self_attn.out_proj", "self_attn.out_proj", "out", OUT, None),
    ("self_attn_layer_norm", "self_attn_layer_norm", "attention_norm", AFFINE, None),
    ("fc1", "fc1", "up", LINEAR, None),
    ("fc2", "fc2", "down", LINEAR, None),
    ("final_layer_norm", "final_layer_norm", "mlp_norm", AFFINE, None),
)


def _in_one(heads: str) -> tuple[Held, Held]:
    """Of attention whose heads are counted by a letter of their own: the maps in, and out."""
    into = (
        Part(".weight", "/kernel", f"(s {heads} d) w -> w s {heads} d"),
        Part(".bias", "/bias", f"(s {heads} d) -> s {heads} d"),
    )
    return into, (Part(".weight", "/kernel", f"w ({heads} d) -> {heads} d w"), OUT[1])


def _block(attention: str, heads: str) -> tuple[Module, ...]:
    into, out = _in_one(heads)
    return (
        ("conv1", "conv1.fn.dw", "attention_near", NEAR, None),
        ("norm1", f"{attention}.norm", "attention_norm", AFFINE, None),
        (f"{attention}.qkv", f"{attention}.fn.qkv", "qkv", into, None),
        (f"{attention}.proj", f"{attention}.fn.proj", "out", out, None),
        ("conv2", "conv2.fn.dw", "mlp_near", NEAR, None),
        ("norm2", "ffn.norm", "mlp_norm", AFFINE, None),
        ("ffn.fc1", "ffn.fn.net.fc1", "up", LINEAR, None),
        ("ffn.fc2", "ffn.fn.net.fc2", "down", LINEAR, None),
    )


def _tower(sizes: Florence2Sizes, layout: int) -> Iterator[Rule]:
    for number in range(len(sizes.vision.stages)):
        entry = (("conv", "proj", "", CONVOLUTION, None), ("norm", "norm", "/norm", AFFINE, None))
        yield from rules(entry, layout, f"vision_tower.convs.{number}.", f"tower/entry_{number}")
        # Each stage has a count and heads of its own.
        for theirs, attention, ours, heads in (
            ("spatial_block", "window_attn", "window", f"h{number}"),
            ("channel_block", "channel_attn", "channel", f"g{number}"),
        ):
            yield from rules(
                _block(attention, heads),
                layout,
                f"vision_tower.blocks.{number}.{{stage_{number}}}.{theirs}.",
                f"tower/stage_{number}/{ours}/",
            )


def _table(sizes: Florence2Sizes, layout: int, once: bool, *own: Rule, language: str) -> Table:
    words = ("shared.weight", "encoder.embed_tokens.weight")
    read, again = words[::-1] if once else words
    below = language.replace(".", r"\.")
    stages = sizes.vision.stages
    counts = {f"stage_{number}": stage.depth for number, stage in enumerate(stages)}
    letters = {"s": 3, "h": sizes.layers.heads}
    for number, stage in enumerate(stages):
        letters |= {f"h{number}": stage.heads, f"g{number}": stage.groups}
    return Table(
        rules=(
            *_tower(sizes, layout),
            *own,
            Rule(f"{language}{read}", "reader/word"),
            Rule(f"{language}encoder.embed_positions.weight", "reader/place"),
            *rules(
                [("layernorm_embedding", "layernorm_embedding", "norm", AFFINE, None)],
                layout,
                f"{language}encoder.",
                "reader/",
            ),
            *rules(READER, layout, f"{language}encoder.layers.{{layer}}.", "reader/layers/"),
        ),
        counts={"layer": sizes.layers.depth, **counts},
        sizes=letters,
        ignored=(
            # The words' table once more, what comes after the encoder, and sines.
            below + again.replace(".", r"\."),
            below + r"decoder\..*",
            r"(language_model\.)?lm_head\..*",
            r"language_model\.final_logits_bias",
            r"(multi_modal_projector\.)?visual_temporal_embed\.pos_idx_to_embed",
        ),
    )


def _projector(layout: int, theirs: str, places: str) -> tuple[Rule, ...]:
    norm = [("image_proj_norm", "image_proj_norm", "norm", AFFINE, None)]
    return (
        *rules(norm, layout, theirs, "projector/"),
        Rule(f"{theirs}{places}.row_embeddings.weight", "projector/row"),
        Rule(f"{theirs}{places}.column_embeddings.weight", "projector/column"),
    )


def transformers_florence2(sizes: Florence2Sizes, *, once: bool = False) -> Table:
    """Of `Florence2Model`."""
    theirs = "multi_modal_projector."
    return _table(
        sizes,
        TRANSFORMERS,
        once,
        Rule(f"{theirs}image_projection.weight", "projector/map/kernel", "o i -> i o"),
        *_projector(TRANSFORMERS, theirs, "image_position_embed"),
        language="language_model.",
    )


def original_florence2(sizes: Florence2Sizes, *, once: bool = False) -> Table:
    """Of Microsoft's files; the map of pictures stands there as it is multiplied from the right."""
    return _table(
        sizes,
        ORIGINAL,
        once,
        Rule("image_projection", "projector/map/kernel"),
        *_projector(ORIGINAL, "", "image_pos_embed"),
        language="language_model.model.",
    )
