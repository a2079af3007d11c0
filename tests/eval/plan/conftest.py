"""Plans of configs are asked for where configs/ is, and kept apart from the user's."""

import pathlib

import pytest

from wamjax.cli import config_file

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def at_root(monkeypatch):
    """In the folder above configs/."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def config_of(at_root):
    """The run of a config file."""
    return lambda file: config_file.load(file, [])
