"""Windows and steps with and without latents from before, in processor time.

    python -m tests.benchmarks.latents BRIDGE

The system of configs/quickstart_autoencoder.py (two cameras of 48 pixels, one of them encoded) on
the directory of Octo's Bridge sample, with and without its keypoints, which read one frame a
camera. Contestants take turns, so that a busy moment hits both.
"""

import argparse
import dataclasses
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np

from tests.test_configs import load
from tests.weights import drawn_weights
from wamjax.cli.encoding import Codec, encoded
from wamjax.cli.train import windows_for
from wamjax.core.runtime import device_name, enable_compile_cache, keep_memory
from wamjax.data import Windows
from wamjax.data.windows.encoded import EncodedWindows, Latents
from wamjax.recipes.assembly import assembled
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.latents import encoding_of
from wamjax.train.run_config import RunConfig

BATCH, TURNS = 16, 12
CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"


def turns(contestants: dict[str, Callable[[int], object]]) -> dict[str, float]:
    """Median processor milliseconds of each."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(TURNS):
        for name, run in contestants.items():
            started = time.process_time()
            jax.block_until_ready(run(turn))
            spent[name].append(1e3 * (time.process_time() - started))
    return {name: statistics.median(times) for name, times in spent.items()}


def compare(config: RunConfig, out: pathlib.Path) -> None:
    """Print the figures of one system."""
    system = assembled(config.system)
    encoding = encoding_of(system)
    params = drawn_weights(jax.eval_shape(system.init, jax.random.key(0)))
    warm = windows_for(config, None)
    assert isinstance(warm, Windows)
    plan = encoded(Codec(config, encoding, params["codec"]), None, out, "float32", 64)
    bare = dataclasses.replace(config.data, cache_bytes=0)
    cold = Windows(bare, warm.statistics, warm.episodes)
    latents = EncodedWindows(cold, Latents(out), encoding.pixels)
    draw = np.random.default_rng(0)
    draws = [draw.integers(0, len(warm), BATCH) for _ in range(TURNS)]
    made = turns(
        {
            "frames from disk": lambda turn: cold.batch(draws[turn]).frames,
            "frames from memory": lambda turn: warm.batch(draws[turn]).frames,
            "latents": lambda turn: latents.batch(draws[turn]).latents,
        }
    )
    key = jax.random.key(1)
    step = jax.jit(jax.value_and_grad(lambda p, b: system.loss(p, b, key, "joint")[0]))
    encode = jax.jit(encoding.encode)
    on_frames, on_latents = warm.batch(draws[0]), latents.batch(draws[0])
    jax.block_until_ready((step(params, on_frames), step(params, on_latents)))
    jax.block_until_ready(encode(params, on_frames.frames))
    steps = turns(
        {
            "on frames": lambda _: step(params, on_frames),
            "on latents": lambda _: step(params, on_latents),
            "encode alone": lambda _: encode(params, on_frames.frames),
        }
    )
    print(f"  {plan.windows} windows of {plan.window_bytes} bytes; load {os.getloadavg()[0]:.1f}")
    for name, spent in made.items():
        print(f"  batch, {name:<20}{spent:9.2f} ms {1e3 * BATCH / spent:9.0f} windows/s")
    for name, spent in steps.items():
        print(f"  step, {name:<21}{spent:9.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    directory = parser.parse_args().directory
    enable_compile_cache()
    keep_memory()
    run: RunConfig = load(CONFIGS / "quickstart_autoencoder.py").CONFIG
    keys = load(CONFIGS / "bridge_tiny.py").CONFIG.data
    data = dataclasses.replace(
        run.data,
        dir=directory,
        cameras=("image_0", "image_1"),
        proprio_key=keys.proprio_key,
        action_key=keys.action_key,
        instruction_key=keys.instruction_key,
    )
    assert isinstance(run.system, SystemConfig)
    bare = dataclasses.replace(run.system.context, kind="none")
    print(f"{device_name()}; batch {BATCH}, processor milliseconds, medians of {TURNS}")
    with tempfile.TemporaryDirectory() as folder:
        for name, context in (("keypoints", run.system.context), ("no keypoints", bare)):
            print(name)
            system = dataclasses.replace(run.system, context=context)
            compare(dataclasses.replace(run, system=system, data=data), pathlib.Path(folder) / name)


if __name__ == "__main__":
    main()
