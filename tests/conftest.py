"""Set before jax starts: shape checks, eight fake devices, a persistent compile cache."""

import os

os.environ.setdefault("WAMJAX_CHECK_SHAPES", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
flags = os.environ.get("XLA_FLAGS", "")
if "xla_force_host_platform_device_count" not in flags:
    # Eight devices share few cores: XLA ends a process whose devices meet later than 40 s apart.
    patience = "--xla_cpu_collective_call_terminate_timeout_seconds=500"
    flags = f"{flags} --xla_force_host_platform_device_count=8 {patience}"
    os.environ["XLA_FLAGS"] = flags.strip()

import pathlib  # noqa: E402
from collections.abc import Iterator  # noqa: E402

import jax  # noqa: E402
import pytest  # noqa: E402

from tests.memory import resident  # noqa: E402
from wamjax.core import runtime  # noqa: E402
from wamjax.core.runtime import (  # noqa: E402
    enable_compile_cache,
    fusion_emitters_are_optional,
)

# Read when the first program is compiled; what is jitted by hand compiles twice as fast, too.
if fusion_emitters_are_optional():
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
enable_compile_cache()
# A process of tests lives through hundreds of trainings: it gives back what each of them used.
runtime.KEPT_MEMORY = ()

pytest_plugins = ["tests.conformance_table", "tests.pretrained.parity"]

SHARED_DATA = pathlib.Path(
    os.environ.get(
        "WAMJAX_SHARED_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    )
)


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """Real robot data that stand beside the checkout; see $WAMJAX_SHARED_DATA."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real robot data at {SHARED_DATA}; set WAMJAX_SHARED_DATA")
    return SHARED_DATA


MOST_RESIDENT = 3 * 2**30


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_given_back() -> Iterator[None]:
    """A large process forgets its compiled programs between files: hundreds are gigabytes."""
    yield
    if resident() > MOST_RESIDENT:
        jax.clear_caches()


@pytest.fixture(scope="module")
def quick_to_compile() -> Iterator[None]:
    """Programs without most optimisations: for modules whose programs run once or twice."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def one_device() -> Iterator[None]:
    """A machine with one device: for modules that run whole commands and do not ask for shards."""
    device = jax.devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda *_: device)
        yield


@pytest.fixture(scope="session")
def bridge_directory(shared_data: pathlib.Path) -> pathlib.Path:
    return shared_data / "octo_debug_bridge" / "bridge_dataset" / "1.0.0"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the checks marked slow, too")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--slow"):
        os.environ.setdefault("WAMJAX_FUZZ", "1")


# Files that take minutes stand first: the last one that is handed out decides when all are done.
LONGEST = ("test_notebooks.py", "test_wam_recipes.py", "test_bad_input.py", "test_vector.py")


def _turn(item: pytest.Item) -> int:
    name = item.path.name
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow; run by `bash launch/test.sh --slow`")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)
