"""Name tables of T5 encoders.

transformers   `T5EncoderModel`, `UMT5EncoderModel`, and the encoders in files of whole models
Wan            models_t5_umt5-xxl-enc-bf16.pth (Wan-Video/Wan2.1, wan/modules/t5.py)
"""

from wamjax.codec.t5 import T5Sizes
from wamjax.pretrained.table import Rule, Table

QKV = "(h d) w -> w h d"
OUT = "w (h d) -> h d w"
ACROSS = "o i -> i o"


def transformers_t5(sizes: T5Sizes) -> Table:
    """Of transformers' files; they hold the embedding as `shared`."""
    layer = "encoder.block.{layer}.layer."
    attention = layer + "0.SelfAttention."
    mlp = layer + "1.DenseReluDense."
    up = {"wi_0": "gate", "wi_1": "up"} if sizes.layers.gated else {"wi": "up"}
    bias = "relative_attention_bias.weight"
    if sizes.layers.buckets:
        relative = Rule(attention + bias, "layers/relative")
    else:
        relative = Rule(f"encoder.block.0.layer.0.SelfAttention.{bias}", "relative")
    return _table(
        sizes,
        Rule("shared.weight", "embedding"),
        *(
            Rule(f"{attention}{theirs}.weight", "layers/qkv/kernel", QKV, slot=(1, place))
            for place, theirs in enumerate("qkv")
        ),
        Rule(attention + "o.weight", "layers/out/kernel", OUT),
        relative,
        Rule(layer + "0.layer_norm.weight", "layers/attention_norm/scale"),
        *(
            Rule(f"{mlp}{theirs}.weight", f"layers/{ours}/kernel", ACROSS)
            for theirs, ours in up.items()
        ),
        Rule(mlp + "wo.weight", "layers/down/kernel", ACROSS),
        Rule(layer + "1.layer_norm.weight", "layers/mlp_norm/scale"),
        Rule("encoder.final_layer_norm.weight", "norm/scale"),
        # The embedding once more, and what comes after the encoder.
        ignored=(r"encoder\.embed_tokens\.weight", r"decoder\..*", r"lm_head\..*"),
    )


def wan_umt5(sizes: T5Sizes) -> Table:
    """Of the file that comes with Wan's own checkpoints."""
    layer = "blocks.{layer}."
    return _table(
        sizes,
        Rule("token_embedding.weight", "embedding"),
        *(
            Rule(f"{layer}attn.{theirs}.weight", "layers/qkv/kernel", QKV, slot=(1, place))
            for place, theirs in enumerate("qkv")
        ),
        Rule(layer + "attn.o.weight", "layers/out/kernel", OUT),
        Rule(layer + "pos_embedding.embedding.weight", "layers/relative"),
        Rule(layer + "norm1.weight", "layers/attention_norm/scale"),
        Rule(layer + "ffn.gate.0.weight", "layers/gate/kernel", ACROSS),
        Rule(layer + "ffn.fc1.weight", "layers/up/kernel", ACROSS),
        Rule(layer + "ffn.fc2.weight", "layers/down/kernel", ACROSS),
        Rule(layer + "norm2.weight", "layers/mlp_norm/scale"),
        Rule("norm.weight", "norm/scale"),
    )


def _table(sizes: T5Sizes, *rules: Rule, ignored: tuple[str, ...] = ()) -> Table:
    shape = sizes.layers
    return Table(
        rules=rules, counts={"layer": shape.depth}, sizes={"h": shape.heads}, ignored=ignored
    )
