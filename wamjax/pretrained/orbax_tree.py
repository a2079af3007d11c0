"""Orbax's trees of arrays, one leaf at a time.

openpi's checkpoints have an item `params`, in it a tree `{"params": ...}`, each of whose paths may
end in `value`; both are left out of names.
"""

import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from wamjax.core.errors import UserError

ITEM, WRAPPED, VALUE = "params", "params", "value"
SIGNS = ("_METADATA", "manifest.ocdbt")
"""Files in the folder of a tree."""

Path = tuple[str, ...]


def folder_of_tree(path: pathlib.Path) -> pathlib.Path | None:
    """The folder itself or its item `params`, whichever holds a tree."""
    for folder in (path, path / ITEM):
        if any((folder / sign).exists() for sign in SIGNS):
            return folder
    return None


class OrbaxTree:
    """One tree; see `wamjax.pretrained.tensors.Tensors`. Names have "/" between keys.

    Raises:
        UserError: Orbax does not read it.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = epath.Path(folder.resolve())
        self._handler = ocp.PyTreeCheckpointHandler()
        try:
            tree = self._handler.metadata(self._folder).tree
            leaves = {_keys(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
            found = {k: jax.ShapeDtypeStruct(x.shape, x.dtype) for k, x in leaves.items()}
        # Orbax raises what its readers raise: OSError, ValueError, KeyError, AttributeError.
        except Exception as error:
            raise _refused(folder, error) from error
        self._paths = {"/".join(_plain(path, [*found])): path for path in found}
        self.shapes = {name: found[path] for name, path in self._paths.items()}

    @property
    def files(self) -> tuple[pathlib.Path, ...]:
        return tuple(
            sorted(file for file in pathlib.Path(self._folder).rglob("*") if file.is_file())
        )

    def read(self, name: str) -> np.ndarray:
        """See `Tensors`; the leaf is in memory."""
        item: Any = self.shapes[name]
        told: Any = ocp.RestoreArgs(restore_type=np.ndarray)
        for key in reversed(self._paths[name]):
            item, told = {key: item}, {key: told}
        args = ocp.args.PyTreeRestore(item=item, restore_args=told, partial_restore=True)
        try:
            (leaf,) = jax.tree.leaves(self._handler.restore(self._folder, args=args))
        except Exception as error:
            raise _refused(self._folder, error) from error
        return leaf


def _keys(path: tuple[Any, ...]) -> Path:
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _plain(path: Path, paths: list[Path]) -> Path:
    if all(len(p) > 1 and p[-1] == VALUE for p in paths):
        path = path[:-1]
    if all(len(p) > 2 and p[0] == WRAPPED for p in paths):
        path = path[1:]
    return path


def _refused(folder: pathlib.Path | epath.Path, error: Exception) -> UserError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
    return UserError(f"{folder} is no whole Orbax tree of arrays ({first}): get it once more.")
