"""Records of a study that were made in another workdir, or that stand beside a page.

So that a machine runs some arms and another the rest, and that an arm is added to a study whose
other arms nobody trains again: the records are all that the report needs of them.
"""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from wamjax.core.errors import UserError
from wamjax.core.files import read_json
from wamjax.eval.study.records import COSTS, EPISODES, Episode, read_episodes


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """What is known of a study.

    Attributes:
        folder: whence.
        episodes: condition -> its records.
        costs: as `costs.json`.
    """

    folder: pathlib.Path
    episodes: Mapping[str, list[Episode]]
    costs: Mapping[str, Any]

    def holds(self, condition: str, runs: Mapping[str, str], manifest: str) -> bool:
        """Whether it has a condition.

        Args:
            condition: its key.
            runs: names of its trainings, with the digests of what is trained.
            manifest: the hash of the worlds.

        Raises:
            UserError: it has the condition of other trainings, or in other worlds.
        """
        if condition not in self.episodes:
            return False
        if manifest != self.costs["manifest_sha256"]:
            raise UserError(
                f"{self.folder} was tried in other worlds than this study's: leave it out."
            )
        for name, content in runs.items():
            there = self.costs["runs"].get(name)
            if there is None:
                return False
            if there.get("content") != content:
                raise UserError(
                    f"{self.folder}: {name} was trained with another config than the study asks "
                    "for now: leave it out, or take the sources that made it."
                )
        return True


def read_elsewhere(folder: pathlib.Path) -> Elsewhere:
    """The records of a study's folder.

    Raises:
        UserError: they are missing or damaged.
    """
    costs = read_json(folder / COSTS)
    if not isinstance(costs, dict) or not {"runs", "conditions", "manifest_sha256"} <= costs.keys():
        raise UserError(f"{folder / COSTS} holds no costs of a study: restore it, or leave it out.")
    episodes: dict[str, list[Episode]] = collections.defaultdict(list)
    for episode in read_episodes(folder / EPISODES):
        episodes[episode.condition].append(episode)
    return Elsewhere(folder, dict(episodes), {"times": None, **costs})
