"""Text encoders, as transformers has them."""

import functools
from collections.abc import Callable
from typing import Any

from wamjax.codec import bert as bert_codec
from wamjax.codec import t5 as t5_codec
from wamjax.pretrained import bert, t5
from wamjax.pretrained.originals.base import Module, Original, Values, as_torch
from wamjax.pretrained.originals.inputs import drawn_words, of_transformers, run


def t5_module(sizes: t5_codec.T5Sizes) -> Module:
    """UMT5's encoder where every layer has a table, else T5's."""
    shape, name = sizes.layers, "UMT5" if sizes.layers.buckets else "T5"
    return of_transformers(
        f"{name}EncoderModel",
        f"{name}Config",
        vocab_size=sizes.vocabulary,
        d_model=shape.width,
        d_kv=shape.head_dim,
        d_ff=shape.mlp,
        num_layers=shape.depth,
        num_heads=shape.heads,
        feed_forward_proj="gated-gelu" if shape.gated else "relu",
    )


def bert_module(sizes: bert_codec.BertSizes) -> Module:
    """BERT's."""
    shape = sizes.layers
    return of_transformers(
        "BertModel",
        "BertConfig",
        vocab_size=sizes.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        intermediate_size=shape.mlp,
        max_position_embeddings=sizes.places,
    )


def _reads(encoder: Any, vocabulary: int, module: Module, table: Callable[[], Any]) -> Original:
    """Of words alone."""

    def theirs(module: Any, given: Values) -> Values:
        made = module(as_torch(given["words"]), as_torch(given["mask"]).long())
        return {"words": made.last_hidden_state.numpy()}

    return Original(
        module=module,
        table=table,
        given=lambda rng: drawn_words(rng, vocabulary),
        theirs=theirs,
        ours=lambda weights, given: {"words": run(encoder, weights, given["words"], given["mask"])},
    )


def t5_original(sizes: t5_codec.T5Sizes) -> Original:
    """T5's and UMT5's, in float32."""
    table = functools.partial(t5.transformers_t5, sizes)
    return _reads(t5_codec.T5Encoder(sizes), sizes.vocabulary, t5_module(sizes), table)


def bert_original(sizes: bert_codec.BertSizes) -> Original:
    """BERT's, in float32."""
    table = functools.partial(bert.transformers_bert, sizes)
    return _reads(bert_codec.BertEncoder(sizes), sizes.vocabulary, bert_module(sizes), table)


ORIGINALS = {
    "umt5-xxl": t5_original(t5_codec.UMT5_XXL),
    "t5-v1_1-xxl": t5_original(t5_codec.T5_V1_1_XXL),
    "t5-11b": t5_original(t5_codec.T5_11B),
    "t5-base": t5_original(t5_codec.T5_BASE),
    "minilm": bert_original(bert_codec.MINILM_L6),
}
