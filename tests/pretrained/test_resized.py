"""A narrow expert made from a wide one, as FastWAM's published files are made."""

import re
from typing import Any

import jax
import numpy as np
import pytest

from wamjax.core.tree import leaves_by_path
from wamjax.parallel.shardings import is_boxed, unbox
from wamjax.pretrained import wan
from wamjax.pretrained.moves import expand
from wamjax.pretrained.resized import resampled, resized
from wamjax.recipes.fast_wam import fast_wam
from wamjax.recipes.network import initial

PAIRS = (("level_action", "level_video"), ("/action_", "/video_"), ("text_told", "text"))


def test_numbers_between_are_on_the_line_and_ends_stay():
    line = np.linspace(-3.0, 5.0, 17, dtype=np.float32)
    for length in (17, 9, 33, 2, 5):
        want = np.linspace(-3.0, 5.0, length)
        np.testing.assert_allclose(resampled(line, (length,)), want, rtol=1e-6, atol=1e-6)
    assert resampled(np.float32([[0, 2, 4]]), (1, 5)).tolist() == [[0, 1, 2, 3, 4]]
    assert resampled(np.float32([7, 9]), (1,)).tolist() == [7]
    assert resampled(np.float32([7]), (3,)).tolist() == [7, 7, 7]
    x = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    both = resampled(x, (3, 5))
    np.testing.assert_allclose(both, resampled(resampled(x, (6, 5)), (3, 5)), rtol=1e-5, atol=1e-6)


def test_kernels_are_scaled_by_the_root_of_the_ratio_of_their_inputs():
    ones = np.ones
    names = ("embed", "mlp")
    assert (resized(ones((16, 6)), (4, 6), names, "kernel") == 2).all()
    assert (resized(ones((16, 6)), (4, 3), names, "kernel") == 2).all()
    assert (resized(ones((16, 6)), (16, 3), names, "kernel") == 1).all()
    assert (resized(ones((16,)), (4,), ("embed",), "bias") == 1).all()
    assert (resized(ones((6, 16)), (6, 4), (None, "embed"), "table") == 2).all()
    layers = ("layer", "heads", "head_dim", "embed")
    assert (resized(ones((3, 2, 5, 16)), (3, 2, 5, 4), layers, "kernel") == 1).all()
    x = np.random.default_rng(0).normal(size=(16, 6))
    assert resized(x, (16, 6), names, "kernel") is x


@pytest.mark.parametrize(
    ("there", "here", "names", "kind", "sentence"),
    [
        ((30, 4, 4), (28, 4, 4), ("layer", "embed", "mlp"), "kernel", "30 along layer"),
        ((4, 2, 3, 8), (4, 4, 3, 8), ("embed", "heads", None, "head_dim"), "kernel", "2 along hea"),
        ((4, 4), (4,), ("embed",), "bias", "there and"),
        ((3, 3, 4, 4), (3, 3, 4, 2), (None,) * 4, "kernel", "is no matrix"),
        ((2, 4, 4), (3, 4, 4), (None, "action", "embed"), "kernel", "there and"),
    ],
)
def test_what_is_not_of_another_width_is_refused(there, here, names, kind, sentence):
    with pytest.raises(ValueError, match=sentence):
        resized(np.ones(there), here, names, kind)


def test_it_is_what_pytorch_makes_of_their_tensors():
    """Each tensor of Wan's file, interpolated in their layout by torch, is that of our expert."""
    torch: Any = pytest.importorskip("torch")
    boxed = jax.eval_shape(lambda key: initial(fast_wam("tiny"), key), jax.random.key(0))
    flat, _ = jax.tree_util.tree_flatten_with_path(boxed, is_leaf=is_boxed)
    axes = {jax.tree_util.keystr(p, simple=True, separator="/"): x.names for p, x in flat}
    shapes = {path: leaf.shape for path, leaf in leaves_by_path(unbox(boxed)).items()}
    rng, source = np.random.default_rng(0), {}
    sizes = wan.Sizes(heads=2, head_dim=12, depth=2, mlp=0, text=0, channels=0)
    seen = set()
    for move in expand(wan.table(sizes)):
        theirs = move.ours.replace("stack_video", "stack_main")
        found = [
            path
            for path in shapes
            if theirs == _renamed(path) and path != theirs and "head_" not in path
        ]
        for path in found:
            if theirs not in source:
                source[theirs] = rng.normal(size=shapes[theirs]).astype(np.float32)
            made = resized(source[theirs], shapes[path], axes[path], path.split("/")[-1])
            tensor = torch.from_numpy(np.array(move.returned(source[theirs][move.index])))
            ours = move.returned(made[move.index])
            want = tensor.double()
            for axis, length in enumerate(ours.shape):
                if want.shape[axis] != length:
                    rows = want.movedim(axis, -1)
                    line = rows.reshape(-1, 1, rows.shape[-1])
                    line = torch.nn.functional.interpolate(
                        line, size=length, mode="linear", align_corners=True
                    )
                    want = line.reshape(*rows.shape[:-1], length).movedim(-1, axis)
            if tensor.ndim > 1 and tensor.shape[-1] != ours.shape[-1]:
                want = want * (tensor.shape[-1] / ours.shape[-1]) ** 0.5
            np.testing.assert_allclose(ours, want.numpy(), rtol=1e-5, atol=1e-5, err_msg=path)
            seen.add(path)
    # All of the expert but its own embedding and head.
    expert = {path for path in shapes if _renamed(path) != path}
    assert seen == {path for path in expert if "head_" not in path}
    assert len(seen) == 4 + 6 + 21  # text, clock, layers


def _renamed(path: str) -> str:
    for pattern, other in PAIRS:
        path = re.sub(pattern, other, path)
    return path
