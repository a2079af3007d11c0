"""The lessons run from top to bottom, and are stored without outputs."""

import pathlib
import sys

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_lessons():
    assert LESSONS


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_stored_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not (cell.cell_type == "code" and (cell.outputs or cell.execution_count))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_runs(path, tmp_path, monkeypatch):
    # A reader's machine has no fake devices, and checks no shapes.
    monkeypatch.delenv("XLA_FLAGS")
    monkeypatch.delenv("WAMJAX_CHECK_SHAPES")
    notebook = nbformat.read(path, as_version=4)
    # This interpreter's kernel, whatever kernels the machine knows by name.
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    client = NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    assert sys.executable
