"""MaxDiffusion's Wan as a contestant, on JAX and Flax of its own.

The weights are read by its own loader of diffusers' checkpoints. Its settings are those of its
configuration for Wan, but for attention by plain products, the one that runs on CPUs.
"""

import sys
from typing import Any

import jax
from flax import nnx
from flax.linen import partitioning

from tests.benchmarks.turns import Player, serve
from tests.benchmarks.wan_flax import player
from tests.benchmarks.wan_work import Work


def make(settings: dict[str, Any]) -> Player:
    """Of some work; `path`: of the checkout, `scan_layers` as in its configuration."""
    sys.path.insert(0, f"{settings['path']}/src")
    from maxdiffusion.models.wan.transformers.transformer_wan import WanModel
    from maxdiffusion.models.wan.wan_utils import load_wan_transformer

    work, sizes = Work(**settings["work"]), settings["work"]["sizes"]
    mesh = jax.make_mesh((1, 1, 1, 1), ("data", "fsdp", "context", "tensor"))
    with mesh, partitioning.axis_rules([]):
        model = WanModel(
            rngs=nnx.Rngs(0),
            num_attention_heads=sizes["heads"],
            attention_head_dim=sizes["head_dim"],
            in_channels=sizes["channels"],
            out_channels=sizes["channels"],
            text_dim=sizes["text"],
            ffn_dim=sizes["mlp"],
            num_layers=sizes["depth"],
            mesh=mesh,
            attention="dot_product",
            scan_layers=settings["scan_layers"],
        )
    definition, state, rest = nnx.split(model, nnx.Param, ...)
    shapes = nnx.to_pure_dict(state)

    def loaded(kind: str) -> Any:
        found = load_wan_transformer(
            str(work.place(kind)),
            shapes,
            "cpu",
            num_layers=sizes["depth"],
            scan_layers=settings["scan_layers"],
        )
        return found

    def predict(weights, latents, text, sigma):
        with mesh, partitioning.axis_rules([]):
            nnx.replace_by_pure_dict(state, weights)
            called = nnx.merge(definition, state, rest)
            return called(latents, 1000 * sigma, text)

    return player(work, predict, jax.jit, loaded("weights"), loaded("numbers"))


if __name__ == "__main__":
    serve(make)
