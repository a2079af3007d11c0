"""Several questions at once.

Holm (1979): the k-th smallest of m p-values is multiplied by m - k + 1 and never falls below its
predecessor. All that stay below alpha are true at once with an error of at most alpha, however
the questions hang together.
"""

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for asking several questions at once, under the same names."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    corrected, floor = {}, 0.0
    for place, name in enumerate(ordered):
        floor = max(floor, min(1.0, (len(ordered) - place) * p_values[name]))
        corrected[name] = floor
    return {name: corrected[name] for name in p_values}
