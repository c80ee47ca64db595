"""Collect faults in the data, then raise them as one error or report what was skipped, as configured."""

from __future__ import annotations

from kid.errors import InputError, first_of


class Damage:
    """Faults found while reading data.

    policy: "error": `raise_unless_skipped` raises them; "skip": faulty items are skipped, and `lines` lists them.
    """

    def __init__(self, policy: str = "error"):
        self.policy = policy
        self.places: dict[str, list[str]] = {}

    def add(self, fault: str, where: str) -> None:
        self.places.setdefault(fault, []).append(where)

    def lines(self) -> list[str]:
        """One line for each kind of fault, with all places where it occurs if they are skipped, else the first ones."""
        return [
            f"{fault}{f' ({len(places)} times)' if len(places) > 1 else ''}: "
            f"{', '.join(places) if self.policy == 'skip' else first_of(places)}"
            for fault, places in self.places.items()
        ]

    def raise_unless_skipped(self) -> None:
        """Raise InputError with each kind of fault found so far if the policy is "error"."""
        if self.places and self.policy == "error":
            raise InputError("; ".join(self.lines()) + "; fix this, or skip it with --damaged skip")
