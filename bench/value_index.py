"""Measure time and memory of a value index on a made-up database: `python bench/value_index.py --cells 5000000`."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from kid.console import Console
from kid.data.matching import match_values
from kid.data.value_index import build_value_index
from kid.errors import InputError, OneLineParser, run_script

QUESTIONS = 100
FIRST = "Alice Bruno Chen Dalia Emeka Farid Greta Hana Igor Jonas Katya Liam Mina Noor Omar Petra Quinn Rosa Sven Tara"
LAST = "Abbott Berg Costa Dumont Eriksen Fischer Garcia Hughes Ito Jansen Kumar Lopez Moreau Novak Okafor Peters Rossi"
THINGS = "lamp chair bottle tent jacket kettle bicycle rope drill mirror shelf basket helmet stove cable paddle ladder"
COLOURS = "amber black blue bronze coral green grey indigo ivory olive orange pink purple red silver teal white yellow"
SYLLABLES = "ba ce di fo gu ha ke li mo nu pa re si to vu wa xe yo za chi dro fel gra lin mar nor pel sta tor ville ton"


def word(number: int) -> str:
    """A made-up word, different for every number."""
    syllables = SYLLABLES.split()
    parts = []
    while number or not parts:
        number, rest = divmod(number, len(syllables))
        parts.append(syllables[rest])
    return "".join(parts)


def rows(start: int, stop: int, seed: int) -> Iterator[tuple[str, str, str, str, str]]:
    """Rows of name and e-mail of a person, product, street address and order code; no value occurs twice."""
    draw = random.Random(seed)
    first, last, things, colours = (words.split() for words in (FIRST, LAST, THINGS, COLOURS))
    for number in range(start, stop):
        person = f"{draw.choice(first)} {draw.choice(last)}-{word(number).title()}"
        yield (
            person,
            f"{person.replace(' ', '.').lower()}@example.org",
            f"{draw.choice(colours)} {draw.choice(things)} model {word(number)} {draw.randrange(1000)}",
            f"{number} {word(number % 30000).title()} {draw.choice(('Street', 'Avenue', 'Road', 'Lane'))}",
            f"{draw.choice('ABCDEFGH')}{draw.randrange(100):02d}-{number:08d}",
        )


def make_database(path: Path, cells: int) -> list[str]:
    """Create two tables with `cells` different texts in five columns; returns questions that mention some of them."""
    count = -(-cells // 5)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT, address TEXT)")
    connection.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, title TEXT, code TEXT)")
    for start in range(0, count, 10_000):
        made = list(rows(start, min(start + 10_000, count), start))
        people = [(name, email, address) for name, email, _, address, _ in made]
        connection.executemany("INSERT INTO customer (name, email, address) VALUES (?, ?, ?)", people)
        products = [(title, code) for _, _, title, _, code in made]
        connection.executemany("INSERT INTO product (title, code) VALUES (?, ?)", products)
    connection.commit()
    questions = []
    for number in range(QUESTIONS):
        key = 1 + number * (count - 1) // QUESTIONS
        name, address = connection.execute("SELECT name, address FROM customer WHERE id = ?", [key]).fetchone()
        (title,) = connection.execute("SELECT title FROM product WHERE id = ?", [key]).fetchone()
        questions.append(
            f"How many orders of the product '{title}' were sent in 2024 to the customer {name}?"
            if number % 2
            else f"What are the names and e-mails of all customers who live at {address} and have bought a {title}?"
        )
    connection.close()
    return questions


def measure(database: Path, questions: list[str]) -> dict[str, float]:
    """Build the index and match the questions, in this process."""
    start = time.perf_counter()
    index = build_value_index(database)
    built = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = match_values(index, questions)
    matched = time.perf_counter()
    return {
        "build_seconds": round(built - start, 1),
        "build_peak_mb": peak // 1024,
        "match_seconds": round(matched - built, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "index_mb": sum(path.stat().st_size for path in index.rglob("*") if path.is_file()) // 2**20,
        "matched_values": sum(len(values) for matches in found for values in matches.values()),
    }


def run_child(folder: Path, database: Path, questions: list[str]) -> dict[str, float]:
    """Run `measure` in a separate process with an empty cache, so that creating the database is not counted."""
    (folder / "questions.json").write_text(json.dumps(questions))
    child = subprocess.run(
        [sys.executable, __file__, "--measure", str(folder)],
        env={**os.environ, "KID_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if child.returncode:
        raise InputError(f"the measured process ended with status {child.returncode}; its error is above")
    return json.loads(child.stdout)


def main() -> None:
    """Create the database, measure, and print the results; fail if memory exceeds the limit."""
    parser = OneLineParser(description="Measure the index of a database's values on a made-up database.")
    parser.add_argument("--cells", type=int, default=5_000_000, help="number of different texts [5000000]")
    parser.add_argument("--limit-mb", type=int, default=2048, help="fail if peak memory is above this [2048]")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        questions = json.loads((arguments.measure / "questions.json").read_text())
        print(json.dumps(measure(arguments.measure / "made.sqlite", questions)))
        return
    if arguments.cells < 1:
        raise InputError(f"--cells {arguments.cells} is out of range; give the number of texts, 1 or more")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = folder / "made.sqlite"
        questions = make_database(database, arguments.cells)
        numbers = {"cells": arguments.cells, "questions": len(questions)}
        numbers["database_mb"] = database.stat().st_size // 2**20
        numbers |= run_child(folder, database, questions)
    table = Table("what", "number", title="value index")
    for what, number in numbers.items():
        table.add_row(what.replace("_", " "), f"{number:,}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(numbers, indent=1) + "\n")
    if numbers["peak_mb"] > arguments.limit_mb:
        raise InputError(f"peak memory was {numbers['peak_mb']} MB, over --limit-mb {arguments.limit_mb}")


if __name__ == "__main__":
    run_script(main)
