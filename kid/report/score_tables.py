"""The tables printed by eval/score.py: the scores of a file by hardness and by database, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

DATABASES = 10  # maximum number shown, those with the lowest EX
ScoreTable = tuple[str, list[str], list[list[str]]]  # title, header, rows


def score_tables(record: Mapping) -> list[ScoreTable]:
    """Return the tables of a score file: by hardness and in total, further metrics, and by database if several."""
    tables = [("by hardness", *figure_rows("hardness", {**record["hardness"], "all": record})), metric_table(record)]
    databases = record["databases"]
    if len(databases) > 1:
        shown = dict(list(databases.items())[:DATABASES])
        count = f"the {DATABASES} worst of {len(databases)}, all are in the JSON" if len(databases) > DATABASES else ""
        tables.append((f"by database{f' ({count})' if count else ''}", *figure_rows("database", shown)))
    return [table for table in tables if table[2]]


def metric_table(record: Mapping) -> ScoreTable:
    """Return soft F1 and R-VES of all questions, as far as they were computed."""
    rows = []
    if f1 := record.get("soft_f1"):
        rows.append(["soft F1 %", str(f1["n"]), f"{f1['percent']:.2f}", interval_text(f1["interval"])])
    if ves := record.get("r_ves"):
        rows.append(["R-VES", str(ves["n"]), f"{ves['score']:.2f}", interval_text(ves["interval"])])
    return "BIRD's further metrics", ["", "n", "value", "95 % interval"], rows


def noise_line(record: Mapping) -> str | None:
    """Describe how much R-VES depends on chance, at least; None if it was not computed."""
    if not (ves := record.get("r_ves")):
        return None
    first, second = ves["halves"]
    return (
        f"noise of R-VES: {first:.2f} from one half of the {ves['runs']} runs per query, {second:.2f} from the other; "
        f"{ves['rewards_that_differ']} of {ves['n']} rewards differ"
    )


def figure_rows(name: str, figures: Mapping[str, Mapping]) -> tuple[list[str], list[list[str]]]:
    """Return (header, rows) of scores by hardness or database, without columns that none of them has."""
    columns: list[tuple[str, Callable[[Mapping], str | None]]] = [
        ("n", lambda values: str(values["n"])),
        ("EX %", lambda values: f"{values['ex']:.2f}"),
        ("95 % interval", lambda values: interval_text(values["ex_interval"])),
        ("TS %", lambda values: None if values["ts"] is None else f"{values['ts']:.2f}"),
        ("TS interval", lambda values: None if values["ts"] is None else interval_text(values["ts_interval"])),
        ("soft F1 %", lambda values: f"{values['soft_f1']['percent']:.2f}" if "soft_f1" in values else None),
        ("R-VES", lambda values: f"{values['r_ves']['score']:.2f}" if "r_ves" in values else None),
    ]
    cells = {title: [of(values) for values in figures.values()] for title, of in columns}
    kept = {title: column for title, column in cells.items() if any(cell is not None for cell in column)}
    rows = [
        [key, *("-" if cell is None else cell for cell in row)]
        for key, *row in zip(figures, *kept.values(), strict=True)
    ]
    return [name, *kept], rows


def interval_text(interval: list[float] | None) -> str:
    """Write both ends with one decimal; "-" for None."""
    return "-" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"
