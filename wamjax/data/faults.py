"""Bad data: every fault has a file and an offset, and all of them share one stated budget."""

import dataclasses
from typing import Literal

from wamjax.core.errors import UserError

# What an offset counts: ArrayRecord addresses records by number, LeRobot episodes.
Unit = Literal["byte", "record", "episode"]


class BadRecord(Exception):  # noqa: N818  (it also travels as a value)
    """A record that cannot be used.

    Attributes:
        file, offset: where its frame starts, in `unit`s.
        problem: what is wrong, without a full stop.
        lost: the framing is broken, so the rest of the file cannot be read.
    """

    def __init__(
        self, file: str, offset: int, problem: str, *, lost: bool = False, unit: Unit = "byte"
    ):
        super().__init__(f"{file} at {unit} {offset}: {problem}")
        self.file, self.offset, self.problem, self.lost = file, offset, problem, lost
        self.unit: Unit = unit

    @property
    def fault(self) -> "Fault":
        """The same, to be listed."""
        return Fault(self.file, self.offset, self.problem, self.unit)


@dataclasses.dataclass(frozen=True, order=True)
class Fault:
    """One thing that was passed over, and where: `offset` counts bytes of the file, or episodes."""

    file: str
    offset: int
    problem: str
    unit: Unit = "byte"

    def __str__(self) -> str:
        return f"{self.file} at {self.unit} {self.offset}: {self.problem}"


class Ledger:
    """Faults found so far, each once, held against a budget.

    Args:
        what: the data and the unit counted, for the message, for example "episodes of DIR".
        total: how many units there are.
        budget: the fraction of `total` that may be bad, in [0, 1].
        setting: how the user names the budget.
    """

    def __init__(self, what: str, total: int, budget: float, setting: str = "data.bad_budget"):
        self.what, self.total, self.budget, self.setting = what, total, budget, setting
        self.faults: dict[Fault, int] = {}

    @property
    def count(self) -> int:
        """Units lost."""
        return sum(self.faults.values())

    def add(self, fault: Fault, units: int = 1) -> None:
        """Note a fault that cost `units`; the same fault counts once.

        Raises:
            UserError: more than the budget is bad.
        """
        self.faults[fault] = units
        if self.count > self.budget * self.total:
            raise UserError(
                f"{self.count} of {self.total} {self.what} cannot be used (first: "
                f"{next(iter(self.faults))}), which is more than {self.setting} = "
                f"{self.budget:g} allows: repair the data or raise the budget."
            )
