"""The kinds of an audit's findings; separate from the checks, so that `--help` does not import their libraries."""

from __future__ import annotations

TIES, UNORDERED, BARE, NULLS = "tied-limit", "unordered-limit", "bare-column", "null-order"
TIED_ORDER = "tied-order"  # used instead of `TIES` if only the order of the rows changes
SAME_QUESTION, NEAR_QUESTION, SAME_SQL = "same-question", "near-question", "same-sql"

# Kind -> whether it makes verdicts or labels wrong; questions with such findings are excluded by default.
KINDS = {
    "damaged": True,
    "damaged-file": False,
    "does-not-run": True,
    "too-slow": True,
    "empty": False,
    TIES: True,
    TIED_ORDER: True,
    UNORDERED: True,
    BARE: True,
    NULLS: True,
    "clock": True,
    SAME_QUESTION: False,
    NEAR_QUESTION: False,
    SAME_SQL: False,
    "no-schema-word": False,
    "unmatched-key": False,
    "unused-database": False,
}
MISLEADING = tuple(kind for kind, misleads in KINDS.items() if misleads)
