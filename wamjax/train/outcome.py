"""What is told of a run: beside every checkpoint (`meta`) and at its end (`final.json`)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.experimental import multihost_utils

from wamjax.core.config import fingerprint
from wamjax.core.runtime import device_name, source, versions
from wamjax.core.tree import weights_sha256
from wamjax.core.typing import PyTree
from wamjax.train.lora import merged_on_host
from wamjax.train.state import Plan, TrainState

FINAL = "final.json"
ADDED_UP = ("seconds", "compile_seconds", "flops")
# Skipped steps in a row up to now, and what the run went back for; older checkpoints have neither.
UNTROUBLED: dict[str, Any] = {"streak": 0, "rollbacks": [], "goodput": None}


def run_meta(config: dict[str, Any], statistics: Any) -> dict[str, Any]:
    """Config, statistics, their fingerprints, versions, commit, and `ADDED_UP` at zero.

    Work that was lost by a kill is in no sum.
    """
    # As it will be read back: tuples become lists.
    statistics = json.loads(json.dumps(statistics))
    return {
        "config": config,
        "statistics": statistics,
        "fingerprint": {
            "config": fingerprint(config),
            "statistics": fingerprint(statistics),
        },
        "versions": versions(),
        "source": source(),
        **dict.fromkeys(ADDED_UP, 0.0),
        **UNTROUBLED,
    }


def stored_meta(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What a run goes on with of the `meta` of its checkpoint."""
    younger = {name: stored[name] if name in stored else UNTROUBLED[name] for name in UNTROUBLED}
    return {**{name: stored[name] for name in ADDED_UP}, **younger}


def run_final(
    name: str,
    step: int,
    state: TrainState,
    meta: Mapping[str, Any],
    plans: Sequence[Plan],
    rows: Sequence[Mapping[str, float]],
    goodput: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of `final.json`.

    `weights_sha256` is of the averaged weights, those `load_for_inference` gives; `state_sha256`
    covers the newest weights and the optimizer, too.

    Args:
        name: the run's name.
        step: the last step.
        state: the last state.
        meta: as saved with it.
        plans: of all stages.
        rows: of the metrics; the last one with a loss is told.
        goodput: where the time went.
    """
    told = [row for row in rows if "loss" in row][-1:]
    whole = gathered(state)
    return {
        "finished": True,
        "name": name,
        "step": step,
        "losses": {
            key: value for row in told for key, value in row.items() if key.startswith("loss")
        },
        "seconds": meta["seconds"],
        "compile_seconds": meta["compile_seconds"],
        "train_flops": meta["flops"],
        "goodput": goodput,
        "skipped_steps": round(sum(row["skipped"] for row in rows if "skipped" in row)),
        "rollbacks": meta["rollbacks"],
        "parameters": plans[0].total,
        "trained_parameters": {plan.stage.name: plan.trained for plan in plans},
        "weights_sha256": weights_sha256(merged_on_host(whole.ema, meta["config"])),
        "state_sha256": weights_sha256(whole),
        "config_fingerprint": meta["fingerprint"]["config"],
        "device": device_name(),
        "versions": meta["versions"],
        "source": meta["source"],
    }


def gathered(tree: PyTree) -> PyTree:
    """Every array whole on this host."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)
