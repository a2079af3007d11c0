"""All hosts run one program on one config, or none runs: compared before the first step.

Hosts that differ compute something that is not wrong enough to fail, or wait for one another
without end. So each sends what it is about to do, as text, to all others.
"""

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from wamjax.core.config import difference, fingerprint
from wamjax.core.errors import UserError

SHOWN = 5


def refuse_disagreement(fields: Mapping[str, Any]) -> None:
    """Compare `fields` (JSON values by name) over all hosts; one host agrees with itself.

    Raises:
        UserError: hosts differ; the sentence says which, in what, on every one of them.
    """
    if jax.process_count() == 1:
        return
    told = [json.loads(text) for text in all_texts(json.dumps(fields))]
    rows = [
        f"{path}: {ours!r} on host 0, {theirs!r} on host {host}"
        for host, other in enumerate(told)
        for path, ours, theirs in difference(told[0], other)
    ]
    if rows:
        more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        raise UserError(
            f"the hosts do not agree ({'; '.join(rows[:SHOWN])}{more}); "
            "start every host with the same command, code and data."
        )


def refuse_other_programs(name: str, lowered: Any) -> None:
    """Compare a lowered program over all hosts, by a fingerprint of its text.

    Raises:
        UserError: hosts would run different programs.
    """
    if jax.process_count() > 1:
        refuse_disagreement({f"program of {name}": fingerprint(lowered.as_text())})


def all_texts(text: str) -> list[str]:
    """The text of every host, in their order."""
    encoded = np.frombuffer(text.encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.asarray([encoded.size], np.int32)).reshape(-1)
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: encoded.size] = encoded
    rows = multihost_utils.process_allgather(padded).reshape(len(sizes), -1)
    return [bytes(row[:size]).decode() for row, size in zip(rows, sizes, strict=True)]
