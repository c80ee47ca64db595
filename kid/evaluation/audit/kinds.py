"""The kinds of an audit's findings; apart from the checks, whose libraries `--help` need not import."""

from __future__ import annotations

TIES, UNORDERED, BARE, NULLS = "tied-limit", "unordered-limit", "bare-column", "null-order"
TIED_ORDER = "tied-order"  # what `TIES` is called where it changes the order of the rows alone
SAME_QUESTION, NEAR_QUESTION, SAME_SQL = "same-question", "near-question", "same-sql"

# Kind -> whether it makes a verdict or a label wrong: such questions are excluded unless other kinds are named.
KINDS = {
    "damaged": True,
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
    "unused-database": False,
}
MISLEADING = tuple(kind for kind, misleads in KINDS.items() if misleads)
