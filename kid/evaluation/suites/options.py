"""What a test suite depends on besides the benchmark; separate from `build`, so that `--help` does not import it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Limits of a suite and the random seed; `seconds` is the time limit of one query."""

    neighbours: int = 30
    max_databases: int = 20
    rows: int = 100
    seed: int = 0
    seconds: float = 5.0
