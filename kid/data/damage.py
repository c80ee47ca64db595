"""Faults in the data: gathered, then raised together in one line, or left out and said, as the user chose."""

from __future__ import annotations

from kid.errors import InputError


class Damage:
    """Faults found while data are read.

    policy: "error": `settle` raises them; "skip": whatever is faulty is left out, and `lines` says what.
    """

    def __init__(self, policy: str = "error"):
        self.policy = policy
        self.found: dict[str, list[str]] = {}

    def add(self, fault: str, where: str) -> None:
        self.found.setdefault(fault, []).append(where)

    def lines(self) -> list[str]:
        """One line for each kind of fault, with every place it was met at."""
        return [
            f"{fault}{f' ({len(places)} times)' if len(places) > 1 else ''}: {', '.join(places)}"
            for fault, places in self.found.items()
        ]

    def settle(self) -> None:
        """Raises InputError with all faults found so far if the policy is "error"."""
        if self.found and self.policy == "error":
            raise InputError("; ".join(self.lines()) + "; mend this, or go on without it with --damaged skip")
