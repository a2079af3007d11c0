"""Name tables of T5 encoders.

transformers   `T5EncoderModel`, `UMT5EncoderModel`, and the encoders in files of whole models
Wan            models_t5_umt5-xxl-enc-bf16.pth (Wan-Video/Wan2.1, wan/modules/t5.py)
"""

from wamjax.codec.t5 import T5Sizes
from wamjax.pretrained.encoder import mlp, out, qkv
from wamjax.pretrained.table import Rule, Table


def transformers_t5(sizes: T5Sizes) -> Table:
    """Of transformers' files; they hold the embedding as `shared`."""
    layer = "encoder.block.{layer}.layer."
    attention = layer + "0.SelfAttention."
    dense = layer + "1.DenseReluDense."
    up = {"gate": "wi_0", "up": "wi_1"} if sizes.layers.gated else {"up": "wi"}
    maps = {ours: dense + theirs for ours, theirs in {**up, "down": "wo"}.items()}
    bias = "relative_attention_bias.weight"
    if sizes.layers.buckets:
        relative = Rule(attention + bias, "layers/relative")
    else:
        relative = Rule(f"encoder.block.0.layer.0.SelfAttention.{bias}", "relative")
    return _table(
        sizes,
        Rule("shared.weight", "embedding"),
        *qkv(*(attention + letter for letter in "qkv"), bias=False),
        *out(attention + "o", bias=False),
        relative,
        Rule(layer + "0.layer_norm.weight", "layers/attention_norm/scale"),
        *mlp(bias=False, **maps),
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
        *qkv(*(f"{layer}attn.{letter}" for letter in "qkv"), bias=False),
        *out(layer + "attn.o", bias=False),
        Rule(layer + "pos_embedding.embedding.weight", "layers/relative"),
        Rule(layer + "norm1.weight", "layers/attention_norm/scale"),
        *mlp(bias=False, gate=f"{layer}ffn.gate.0", up=f"{layer}ffn.fc1", down=f"{layer}ffn.fc2"),
        Rule(layer + "norm2.weight", "layers/mlp_norm/scale"),
        Rule("norm.weight", "norm/scale"),
    )


def _table(sizes: T5Sizes, *rules: Rule, ignored: tuple[str, ...] = ()) -> Table:
    shape = sizes.layers
    return Table(
        rules=rules, counts={"layer": shape.depth}, sizes={"h": shape.heads}, ignored=ignored
    )
