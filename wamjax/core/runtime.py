"""The one place that knows the quirks of XLA and jaxlib versions.

jaxlib 0.7 to 0.10 recompute unrolled kinematic chains inside fused CPU kernels (about 500 times
too slow for an MJX arm; jax-ml/jax issue 33761) unless the fusion emitters are off. Newer ones
abort on that option. jaxlib 0.10.x deadlocks in batched Cholesky on CPU; setup.py excludes it.
"""

import contextlib
import ctypes
import importlib.metadata
import os
import pathlib
import platform
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

VERSIONED = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "tensorflow-datasets",
    "mujoco",
    "mujoco-mjx",
    "brax",
    "ml-collections",
    "numpy",
)


def jaxlib_version() -> tuple[int, ...]:
    """The numeric part of jaxlib's version, for example (0, 9, 2)."""
    return tuple(int(part) for part in importlib.metadata.version("jaxlib").split(".")[:3])


def fusion_emitters_are_optional() -> bool:
    """Whether this jaxlib knows the option that leaves the fusion emitters out; others abort."""
    return (0, 7) <= jaxlib_version()[:2] < (0, 11)


def memory_available() -> int:
    """Bytes of host memory that can be had without swapping; less where caches count as taken."""
    told = pathlib.Path("/proc/meminfo")
    if told.exists():
        lines = dict(line.split(":") for line in told.read_text(encoding="ascii").splitlines())
        if "MemAvailable" in lines:
            return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def program_jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`jax.jit` for an outermost program: a rollout, a training step, a chunk.

    On CPUs the fusion emitters are left out. With them a training step takes half as long again
    to compile and no less to run, and MJX, or any unrolled kinematic chain, is far too slow.

    Args:
        function: what to compile; it must not be called under another jit.
        **options: passed to `jax.jit`.
    """
    if jax.default_backend() == "cpu" and fusion_emitters_are_optional():
        options["compiler_options"] = {"xla_cpu_use_fusion_emitters": False}
    return jax.jit(function, **options)


def once_jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`jax.jit` for a program that runs once or twice: quick to compile, slow to run.

    Optimising such a program costs more than it saves; on CPUs, where the compiler shares the
    cores with everything else, it is left out.

    Args:
        function: what to compile; it must not be called under another jit.
        **options: passed to `jax.jit`.
    """
    if jax.default_backend() == "cpu":
        options["compiler_options"] = {
            "xla_backend_optimization_level": 0,
            "xla_llvm_disable_expensive_passes": True,
        }
        if fusion_emitters_are_optional():
            options["compiler_options"]["xla_cpu_use_fusion_emitters"] = False
    return jax.jit(function, **options)


def enable_compile_cache(directory: str | os.PathLike | None = None) -> pathlib.Path:
    """Keep compiled programs on disk, small ones too; called by the command line and the tests.

    Args:
        directory: where; by default $JAX_COMPILATION_CACHE_DIR, else ~/.cache/wamjax/jax.
    """
    chosen = directory or os.environ.get("JAX_COMPILATION_CACHE_DIR") or "~/.cache/wamjax/jax"
    path = pathlib.Path(chosen).expanduser()
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return path


# mallopt's options and our values: one arena, no mapping below 1 GiB, nothing given back.
KEPT_MEMORY = ((-8, 1), (-3, 2**30), (-1, 2**31 - 1), (-2, 2**26))


def keep_memory() -> bool:
    """Let a process that computes on CPUs keep the memory that it frees.

    A step's temporaries are otherwise mapped, cleared and given back every time, which takes about
    a tenth of it. Only the C library glibc has the setting. Threads that have allocated before
    keep their ways: the sooner it is called the better.

    Returns:
        Whether everything was set.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all(library.mallopt(option, value) == 1 for option, value in KEPT_MEMORY)


@contextlib.contextmanager
def without_compile_cache() -> Iterator[None]:
    """Compile everything meanwhile: the compile cache is neither read nor written."""
    before = jax.config.jax_enable_compilation_cache  # pyright: ignore
    jax.config.update("jax_enable_compilation_cache", False)
    # jax looks at the setting once, unless it is told to forget what it saw.
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide the numbers, with Python's."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        found[name] = importlib.metadata.version(name)
    return found


def source() -> str:
    """The version of wamjax, and the commit where it runs from a checkout of git."""
    version, root = importlib.metadata.version("wamjax"), pathlib.Path(__file__).parents[2]
    if not (root / ".git").exists():
        return version
    told = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"{version} ({told.stdout.strip()})" if told.returncode == 0 else version


def cpu_name() -> str:
    """The processor's model name, or the architecture where the system does not tell."""
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def device_name() -> str:
    """The devices in one line, for example "8 x TPU v5e" or "2 x cpu cores, AMD EPYC"."""
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return f"cpu, {len(os.sched_getaffinity(0))} cores, {cpu_name()}"
    return f"{len(devices)} x {devices[0].device_kind}"
