"""What `wamjax data encode` does: a run, its codec and its windows, put together."""

import argparse
import dataclasses
import pathlib

import jax
import numpy as np

from wamjax.cli import config_file
from wamjax.cli.latents import encoding_for, flat, named, trains
from wamjax.cli.train import windows_for
from wamjax.core.config import from_json
from wamjax.core.errors import UserError
from wamjax.core.typing import Params
from wamjax.data.files.latent_format import LatentPlan, Stored, refuse_others
from wamjax.data.writing.latents import make_latents
from wamjax.pretrained.codecs import read
from wamjax.pretrained.opened import open_tensors
from wamjax.recipes.assembly import assembled
from wamjax.recipes.latents import Encoding
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.run_config import RunConfig
from wamjax.train.stages import stages_of


@dataclasses.dataclass(frozen=True)
class Codec:
    """What encodes.

    Attributes:
        config: of the run whose windows are encoded.
        encoding: the codec of its system.
        weights: the codec's; None where it has none.
    """

    config: RunConfig
    encoding: Encoding
    weights: Params | None


def opened(args: argparse.Namespace) -> Codec:
    """The run, its codec, and the codec's weights.

    Raises:
        UserError: nothing says which run, or the codec is not the trained one of this run.
    """
    if args.workdir is None and args.config is None:
        raise UserError("Nothing says what to encode: give --run, or --config.")
    if args.overrides and args.config is None:
        raise UserError("The settings of --run are what they were: give --config to change them.")
    before = None if args.workdir is None else load_for_inference(args.workdir)
    old = None if before is None else from_json(RunConfig, before[0])
    config = old if args.config is None else config_file.load(args.config, args.overrides)
    assert config is not None
    if args.dir is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, dir=args.dir))
    encoding = encoding_for(assembled(config.system))
    if args.weights is not None:
        return Codec(config, encoding, published(args.weights, encoding, config.name))
    if encoding.part is None:
        return Codec(config, encoding, None)
    if before is None and encoding.published is not None:
        raise UserError(f"The codec of {config.name} is a published one: give its --weights.")
    if before is None or old is None:
        raise UserError(
            f"The codec of {config.name} is trained: train it, and give the run as --run."
        )
    theirs = encoding_for(assembled(old.system)).codec
    do = "give the config of that run"
    refuse_others(f"The codec of {args.workdir} is another one", theirs, encoding.codec, do)
    weights, step = before[2][encoding.part], before[3]
    for stage in stages_of(old.stages, old.train.steps):
        if stage.end > step and trains(stage.train, encoding.part, weights):
            raise UserError(
                f"{args.workdir} stands at step {step} and trains its codec until step "
                f"{stage.end}: train it further, then encode."
            )
    return Codec(config, encoding, weights)


def published(path: str, encoding: Encoding, name: str) -> Params:
    """The weights of a published codec.

    Raises:
        UserError: the codec is none, or these are not its weights.
    """
    if encoding.published is None:
        raise UserError(f"The codec of {name} is not a published one: leave out --weights.")
    return read(open_tensors(path), encoding.published)


def encoded(
    codec: Codec, workdir: pathlib.Path | None, out: pathlib.Path, dtype: Stored, batch: int
) -> LatentPlan:
    """Encode all windows of the run.

    Args:
        codec: see `opened`.
        workdir: where the statistics of the data may be; they do not matter here.
        out: where the latents go.
        dtype: in which they are stored.
        batch: windows that are encoded at once.
    """
    config, encoding, weights = codec.config, codec.encoding, codec.weights
    windows = windows_for(config, workdir)
    plan = LatentPlan(
        frames=windows.seen(),
        windows=len(windows),
        window_frames=config.data.frames,
        codec=named(encoding, weights),
        shape=encoding.shape,
        dtype=dtype,
    )
    params = {} if weights is None else {encoding.part: jax.device_put(weights)}
    program = jax.jit(encoding.encode)

    def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = windows.batch(numbers)
        return np.asarray(found.frames), np.asarray(found.frame_mask)

    def encode(frames: np.ndarray) -> np.ndarray:
        return np.asarray(program(params, frames))

    make_latents(out, plan, read, encode, flat(weights), batch)
    return plan
