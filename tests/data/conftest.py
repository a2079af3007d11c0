import pathlib

import pytest

from tests.data.synthetic import episodes
from wamjax.data.writing.rlds import write_rlds


@pytest.fixture(scope="session")
def tabletop(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Fourteen made-up episodes in four shards; not to be changed by a test."""
    out = tmp_path_factory.mktemp("rlds")
    return write_rlds(out, "tabletop", "1.0.0", episodes(), shard_episodes=4)
