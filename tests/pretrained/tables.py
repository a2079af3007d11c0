"""Random name tables with their trees, for laws that hold for all of them."""

import math

import flax.traverse_util
import numpy as np
from hypothesis import strategies as st

from wamjax.pretrained.table import Rule, Table

LETTERS = "abcd"


@st.composite
def turns(draw: st.DrawFn) -> tuple[str, tuple[int, ...], dict[str, int]]:
    """(pattern, shape of our slice, lengths of letters)."""
    names = LETTERS[: draw(st.integers(0, 4))]
    sizes = {name: draw(st.integers(1, 3)) for name in names}

    def side() -> list[list[str]]:
        order = draw(st.permutations(names))
        cuts = [draw(st.booleans()) for _ in order[1:]]
        groups: list[list[str]] = [[order[0]]] if order else []
        for name, cut in zip(order[1:], cuts, strict=True):
            groups.append([name]) if cut else groups[-1].append(name)
        for _ in range(draw(st.integers(0, 1))):
            groups.insert(draw(st.integers(0, len(groups))), [])
        return groups

    def text(groups: list[list[str]]) -> str:
        return " ".join(
            "1" if not g else g[0] if len(g) == 1 else f"({' '.join(g)})" for g in groups
        )

    before, after = side(), side()
    shape = tuple(math.prod(sizes[name] for name in group) for group in after)
    return f"{text(before)} -> {text(after)}", shape, sizes


@st.composite
def families(draw: st.DrawFn) -> tuple[Table, dict]:
    """A table that is a bijection, and random weights in our tree."""
    layers, parts = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    rules: list[Rule] = []
    leaves: dict[str, np.ndarray] = {}
    letters: dict[str, int] = {}
    for place in range(draw(st.integers(1, 4))):
        turn, shape, sizes = draw(turns())
        # Every rule has letters of its own, so that lengths do not meet.
        for letter in sizes:
            turn = turn.replace(letter, f"{letter}{place}")
            letters[f"{letter}{place}"] = sizes[letter]
        lead = draw(st.sampled_from([(), ("layer",), ("layer", "part")]))
        named = "".join(f".{{{axis}}}" for axis in lead)
        keyed = lead and draw(st.booleans())
        path = f"t{place}/{lead[-1]}_{{{lead[-1]}}}/x" if keyed else f"t{place}/x"
        counts = {"layer": layers, "part": parts}
        stacked = lead[:-1] if keyed else lead
        slots = draw(st.integers(0, 3))
        axis = draw(st.integers(0, len(shape))) if slots else 0
        full = (*(counts[a] for a in stacked), *shape[:axis], *[slots] * bool(slots), *shape[axis:])
        for slot in range(max(slots, 1)):
            rules.append(
                Rule(f"w{place}{named}.s{slot}", path, turn, (axis, slot) if slots else None)
            )
        for number in range(counts[lead[-1]]) if keyed else (0,):
            own = path.format(**{lead[-1]: number}) if keyed else path
            leaves[own] = rng.integers(-99, 99, full).astype(np.float32)
    table = Table(
        rules=tuple(draw(st.permutations(rules))),
        counts={"layer": layers, "part": parts},
        sizes=letters,
    )
    return table, flax.traverse_util.unflatten_dict(leaves, sep="/")
