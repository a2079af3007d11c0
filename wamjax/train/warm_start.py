"""A run that begins with weights that stand in a folder; what is matched is told, path by path.

A path there, rewritten by `train.start_names` in their order, names the weight here; one that is
rewritten to nothing is left out. A weight that got none can be made from one of another width: its
path, rewritten by `train.start_resized`, names that one (see pretrained.resized). What is left is
fresh.
"""

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import Array, Params
from wamjax.parallel.shardings import logical_axes, unbox
from wamjax.pretrained.bijection import Row, as_text
from wamjax.pretrained.convert import REQUEST
from wamjax.pretrained.load import placed
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.resized import cuts_of, resized
from wamjax.pretrained.tensors import InMemory, Tensors
from wamjax.train.card import licences_of
from wamjax.train.checkpoint import FOLDER, load_for_inference
from wamjax.train.config import TrainConfig
from wamjax.train.selection import LORA
from wamjax.train.state import Plan, TrainState

Names = Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """Weights to begin with.

    Attributes:
        tensors: where they stand.
        loaded: path here -> path there.
        narrowed: the same of weights of another width.
        axes: logical axes of every weight here.
        rows: what was matched and what was not, for people.
        record: what is told of it beside the run, as JSON.
    """

    tensors: Tensors
    loaded: Mapping[str, str]
    narrowed: Mapping[str, str]
    axes: Mapping[str, tuple[str | None, ...]]
    rows: tuple[Row, ...]
    record: dict[str, Any]

    def read(self, path: str, shape: tuple[int, ...]) -> np.ndarray:
        """A weight here; `path` is one of `loaded` or `narrowed`."""
        if path in self.loaded:
            return self.tensors.read(self.loaded[path])
        there = self.tensors.read(self.narrowed[path])
        return resized(there, shape, self.axes[path], path.split("/")[-1])

    def told(self) -> str:
        """A table of what was loaded, resized, and left fresh or unused."""
        return f"start: {self.record['from']}\n{as_text(self.rows)}"


def warm_start(config: TrainConfig, boxed: Params) -> WarmStart | None:
    """What the folder `config.start` has for a run; None where none is named.

    Args:
        config: the training config.
        boxed: `jax.eval_shape` of the system's init, boxed.

    Raises:
        UserError: it holds no weights, none of this model, or some of other shapes; or a name is
            rewritten by what is no regular expression.
    """
    if config.start is None:
        return None
    folder = pathlib.Path(config.start)
    tensors, axes = _opened(folder), _axes(boxed)
    shapes = {
        path: tuple(leaf.shape)
        for path, leaf in leaves_by_path(unbox(boxed)).items()
        if not path.startswith(f"{LORA}/")
    }
    there = {path: tuple(leaf.shape) for path, leaf in tensors.shapes.items()}
    loaded = _loaded(folder, there, shapes, config.start_names or ())
    resized_names = config.start_resized or ()
    free = [path for path in shapes if path not in loaded]
    narrowed = {
        path: loaded[_rewritten(path, resized_names, "start_resized")]
        for path in free
        if _rewritten(path, resized_names, "start_resized") in loaded
    }
    for path, theirs in narrowed.items():
        _refuse_other_axes(path, theirs, there[theirs], shapes[path], axes[path])
    used = {*loaded.values()}
    rows = [Row("loaded", path, f"from {name}") for path, name in loaded.items()]
    rows += [
        Row("resized", path, f"{shapes[path]} from {name} {there[name]}")
        for path, name in narrowed.items()
    ]
    rows += [Row("fresh", p, str(shapes[p])) for p in free if p not in narrowed]
    rows += [Row("not used", path, str(shape)) for path, shape in there.items() if path not in used]
    licences = licences_of(folder)
    record = {
        "from": folder.name,
        "licences": {of: {"name": one.name, "page": one.page} for of, one in licences.items()},
        "weights": {row.name: row.kind for row in rows},
    }
    return WarmStart(tensors, loaded, narrowed, axes, tuple(rows), record)


def _opened(folder: pathlib.Path) -> Tensors:
    if (folder / FOLDER).is_dir():
        weights = load_for_inference(folder)[2]
        return InMemory({path: np.asarray(leaf) for path, leaf in leaves_by_path(weights).items()})
    if not (folder / REQUEST).is_file():
        raise UserError(
            f"train.start: {folder} is neither a workdir nor what `wamjax convert` wrote: give one "
            "of those."
        )
    return open_tensors(folder)


def _axes(boxed: Params) -> dict[str, tuple[str | None, ...]]:
    flat, _ = jax.tree_util.tree_flatten_with_path(
        logical_axes(boxed), is_leaf=lambda leaf: isinstance(leaf, tuple)
    )
    return {jax.tree_util.keystr(path, simple=True, separator="/"): axes for path, axes in flat}


def _rewritten(path: str, names: Names, where: str) -> str:
    try:
        for pattern, other in names:
            path = re.sub(pattern, other, path)
    except (re.error, IndexError) as error:
        raise UserError(f"a pattern in train.{where} does not work: {error}.") from error
    return path


def _loaded(
    folder: pathlib.Path,
    there: Mapping[str, tuple[int, ...]],
    here: Mapping[str, tuple[int, ...]],
    names: Names,
) -> dict[str, str]:
    """Path here -> path there."""
    found: dict[str, str] = {}
    for theirs in there:
        path = _rewritten(theirs, names, "start_names")
        if path not in here:
            continue
        if path in found:
            raise UserError(
                f"train.start_names makes {path} of both {found[path]} and {theirs}: leave one out."
            )
        found[path] = theirs
    if not found:
        raise UserError(
            f"train.start: no path in {folder} is one of this run's; those there are like "
            f"{min(there)}, those here like {min(here)}: rewrite them by train.start_names."
        )
    wrong = [path for path, theirs in found.items() if there[theirs] != here[path]]
    if wrong:
        first = wrong[0]
        raise UserError(
            f"train.start: {found[first]} in {folder} is {there[found[first]]}, {first} here is "
            f"{here[first]} ({len(wrong)} such): take weights of this model, or leave them out by "
            "train.start_names."
        )
    return found


def _refuse_other_axes(
    path: str,
    theirs: str,
    there: tuple[int, ...],
    here: tuple[int, ...],
    axes: tuple[str | None, ...],
) -> None:
    try:
        cuts_of(there, here, axes, path.split("/")[-1])
    except ValueError as error:
        raise UserError(f"train.start_resized: {path} {error} ({theirs}): leave it out.") from error


def begun_from(state: TrainState, start: WarmStart, plan: Plan) -> TrainState:
    """A fresh state with the weights that are there."""

    def one(path: tuple, leaf: Array, wanted: Any) -> Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name not in start.loaded and name not in start.narrowed:
            return leaf
        return placed(start.read(name, wanted.shape), wanted.sharding, wanted.dtype)

    # A buffer of its own for each: both are donated to the first step.
    params, ema = (
        jax.tree_util.tree_map_with_path(one, tree, plan.abstract.params)
        for tree in (state.params, state.ema)
    )
    return dataclasses.replace(state, params=params, ema=ema)
