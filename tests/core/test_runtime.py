"""What the runtime sets of the process."""

import platform
import subprocess
import sys

import pytest

STEP = """
import resource, jax, jax.numpy as jnp
from wamjax.core.runtime import keep_memory
assert {call}
step = jax.jit(lambda x: jnp.tanh(x @ x.T) @ x)
x = jnp.ones((4000, 8))
mapped = []
for _ in range(30):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
    mapped.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(mapped[-9:])[4])
"""


def pages_mapped(call: str) -> int:
    """Pages that a step with 64 MB of temporaries maps anew, the median of the last nine steps."""
    run = [sys.executable, "-c", STEP.format(call=call)]
    return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no such setting")
def test_a_step_that_keeps_its_memory_maps_none_anew():
    assert pages_mapped("True") > 10_000
    assert pages_mapped("keep_memory()") < 100
