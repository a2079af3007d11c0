"""Any checkpoint by its path: what it is, its content tells."""

import pathlib

from wamjax.core.errors import UserError
from wamjax.pretrained.orbax_tree import OrbaxTree, folder_of_tree
from wamjax.pretrained.safetensors_file import INDEX, SafetensorsFile, sharded
from wamjax.pretrained.tensors import Below, Joined, Tensors
from wamjax.pretrained.torch_file import TorchFile

MODEL = "model.safetensors"
ZIP, PICKLE, LFS = b"PK\x03\x04", b"\x80", b"version https://git-lfs"


def open_tensors(path: str | pathlib.Path, prefix: str = "") -> Tensors:
    """The tensors of a checkpoint.

    Args:
        path: a safetensors file, an index of such or a folder with them, of which
            `model.safetensors` is the model alone; a zip file of PyTorch; the folder of an Orbax
            tree or one with an item `params`.
        prefix: only names that begin with it, without it: "state_dict." or "model.".

    Raises:
        UserError: it is none of those or broken, or no name begins so.
    """
    place = pathlib.Path(path)
    if not place.exists():
        raise UserError(f"{place} does not exist; check the path.")
    try:
        found = _folder(place) if place.is_dir() else _file(place)
    except OSError as error:
        raise UserError(f"{place} cannot be read ({error.strerror or error}).") from error
    if not prefix:
        return found
    below = Below(found, prefix)
    if not below.shapes:
        begins = sorted({name.split(".")[0].split("/")[0] for name in found.shapes})[:8]
        raise UserError(f"no name in {place} begins with {prefix!r}; names begin with {begins}.")
    return below


def _folder(folder: pathlib.Path) -> Tensors:
    tree = folder_of_tree(folder)
    if tree is not None:
        return OrbaxTree(tree)
    indices = sorted(folder.glob(f"*{INDEX}"))
    if len(indices) == 1:
        return sharded(indices[0])
    files = sorted(folder.glob("*.safetensors"))
    if indices or not files:
        found = f"{len(indices)} indices" if indices else "no safetensors files and no Orbax tree"
        raise UserError(f"{folder} holds {found}: give the file of the weights itself.")
    # LeRobot keeps statistics in further files, which share names.
    alone = folder / MODEL
    return Joined([SafetensorsFile(file) for file in ([alone] if alone in files else files)])


def _file(file: pathlib.Path) -> Tensors:
    with file.open("rb") as opened:
        start = opened.read(64)
    if start.startswith(ZIP):
        return TorchFile(file)
    if start.startswith(LFS):
        raise UserError(
            f"{file} is a pointer of Git LFS, not the weights: get them by git lfs pull."
        )
    if start[8:9] == b"{":
        return SafetensorsFile(file)
    if start.startswith(PICKLE) or file.name.endswith((".tar", ".pickle", ".pkl")):
        raise UserError(
            f"{file} is a pickle as PyTorch wrote before 1.6, which is not read because it may run "
            "code: load it where you trust it and save it with safetensors."
        )
    if file.name.endswith(".json"):
        return sharded(file)
    raise UserError(
        f"{file} is neither a safetensors file nor a zip file of PyTorch: give one of those, or a "
        "folder with an index or an Orbax tree."
    )
