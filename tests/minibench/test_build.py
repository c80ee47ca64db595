"""The embedded benchmark: determinism, Spider's layout, gold that runs, labels that are wrong where it says so."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from kid.config.benchmarks import find_split
from kid.errors import InputError
from kid.minibench.build import build_minibench, draw_database
from kid.minibench.label_errors import KINDS
from kid.minibench.patterns import PATTERNS
from kid.minibench.questions import draw_question
from kid.minibench.styles import STYLES
from kid.minibench.vocabulary import TABLE_ATTRIBUTES, TABLE_NOUNS
from kid.sql.comparison import results_equal
from kid.sql.hardness import LEVELS, spider_hardness

SIZES = {"train": 1000, "seen": 500, "valid": 400, "dev": 1000}
DATABASES = {"train": 125, "seen": 125, "valid": 40, "dev": 100}


@pytest.fixture(scope="module")
def built(minibench) -> dict[str, list[dict]]:
    """The items of each split; questions of syn under the key of the others."""
    found = {}
    for split in ("train", "seen", "valid", "dev", "syn", "realistic"):
        where = find_split("spider", split)
        folder = next(minibench / name for name in where.folders if (minibench / name / where.questions[0]).exists())
        items = json.loads((folder / where.questions[0]).read_text())
        found[split] = [{**item, "question": item[where.question_field]} for item in items]
    return found


@pytest.fixture(scope="module")
def labels(minibench) -> dict:
    return json.loads((minibench / "labels.json").read_text())


def open_readonly(folder: Path, db_id: str) -> sqlite3.Connection:
    path = folder / "database" / db_id / f"{db_id}.sqlite"
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


def rows(folder: Path, item: dict, query: str | None = None) -> list[tuple]:
    with closing(open_readonly(folder, item["db_id"])) as connection:
        return connection.execute(query or item["query"]).fetchall()


def contents(folder: Path) -> dict[str, object]:
    """Every JSON file's bytes, and every database as SQL text."""
    found: dict[str, object] = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}
    for path in sorted((folder / "database").glob("*/*.sqlite")):
        with closing(open_readonly(folder, path.stem)) as connection:
            found[path.stem] = list(connection.iterdump())
    return found


@pytest.mark.slow
def test_the_arguments_decide_everything(tmp_path):
    small = {"labels": 30, "train_databases": 6}
    for name, arguments in (("a", {}), ("b", {}), ("seed", {"seed": 1}), ("clean", {"label_errors": 0.0})):
        build_minibench(tmp_path / name, **small, **arguments)
    a, b, seed, clean = (contents(tmp_path / name) for name in ("a", "b", "seed", "clean"))
    assert a == b
    assert all(a[name] != seed[name] for name in a if name.endswith(".json"))
    # Without errors only the labels are others.
    assert {name for name in a if a[name] != clean[name]} == {"train_spider.json", "labels.json"}
    # valid and dev do not hang on how much is trained on.
    build_minibench(tmp_path / "more", labels=60, train_databases=8)
    more = contents(tmp_path / "more")
    for name in ("dev.json", "valid.json", "spider_syn/dev.json", "spider_realistic/spider-realistic.json"):
        assert a[name] == more[name], name


def test_sizes(minibench, built):
    assert {split: len(built[split]) for split in SIZES} == SIZES
    databases = {split: {item["db_id"] for item in items} for split, items in built.items()}
    assert {split: len(databases[split]) for split in DATABASES} == DATABASES
    assert databases["train"] == databases["seen"]
    assert not databases["train"] & databases["dev"]
    assert not databases["valid"] & (databases["train"] | databases["dev"])
    assert databases["dev"] == databases["syn"] == databases["realistic"]
    names = {entry["db_id"] for entry in json.loads((minibench / "tables.json").read_text())}
    assert names == databases["train"] | databases["valid"] | databases["dev"]
    assert names == {path.name for path in (minibench / "database").iterdir()}


def test_tables_json_agrees_with_the_files(minibench):
    spider_types = {"TEXT": "text", "INTEGER": "number", "REAL": "number", "DATE": "time"}
    sizes = Counter()
    for entry in json.loads((minibench / "tables.json").read_text()):
        tables, columns = entry["table_names_original"], entry["column_names_original"]
        sizes[len(tables)] += 1
        assert columns[0] == entry["column_names"][0] == [-1, "*"]
        assert [[table, name.replace("_", " ")] for table, name in columns] == entry["column_names"]
        with closing(open_readonly(minibench, entry["db_id"])) as connection:
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            found, types, primary, foreign = [[-1, "*"]], ["text"], [], set()
            for number, table in enumerate(tables):
                for _, name, declared, _, _, is_key in connection.execute(f"PRAGMA table_info({table})"):
                    if is_key:
                        primary.append(len(found))
                        key = name
                    found.append([number, name])
                    types.append(spider_types[declared])
                for row in connection.execute(f"PRAGMA foreign_key_list({table})"):
                    foreign.add((table, row[3], row[2]))
                assert 12 <= connection.execute(f"SELECT COUNT({key}) FROM {table}").fetchone()[0] <= 28
        assert found == columns and types == entry["column_types"] and primary == entry["primary_keys"]
        assert foreign == {
            (tables[columns[child][0]], columns[child][1], tables[columns[parent][0]])
            for child, parent in entry["foreign_keys"]
        }
        assert all(parent in entry["primary_keys"] for _, parent in entry["foreign_keys"])
    assert set(sizes) == {2, 3, 4, 5}


def test_values_have_gaps_dates_and_duplicates(minibench):
    nulls = dates = repeated = 0
    for entry in json.loads((minibench / "tables.json").read_text())[:60]:
        with closing(open_readonly(minibench, entry["db_id"])) as connection:
            for (table, name), kind in zip(entry["column_names_original"][1:], entry["column_types"][1:], strict=True):
                query = f"SELECT {name} FROM {entry['table_names_original'][table]}"
                values = [row[0] for row in connection.execute(query)]
                nulls += None in values
                dates += kind == "time"
                repeated += kind == "number" and len(set(values)) < len(values) and not name.endswith("id")
    assert nulls > 30 and dates > 10 and repeated > 30


def test_every_gold_query_runs_and_returns_something(minibench, built):
    for split in ("seen", "valid", "dev"):
        for item in built[split]:
            assert any(value is not None for row in rows(minibench, item) for value in row), item


def test_golds_are_hard_enough(built):
    levels = Counter(spider_hardness(item["query"]) for item in built["dev"])
    assert set(levels) == set(LEVELS) and min(levels.values()) >= 80, levels
    joins = Counter(item["query"].count(" JOIN ") for item in built["dev"])
    assert joins[2] + joins[4] >= 100
    assert len(PATTERNS) >= 70


def test_no_question_is_in_two_splits(built, labels):
    for items in built.values():
        questions = [(item["db_id"], item["question"]) for item in items]
        assert len(set(questions)) > 0.995 * len(questions)  # two wordings of two golds may meet
    gold = {label["index"]: label["gold"] for label in labels["wrong"]}
    train = {(item["db_id"], gold.get(index, item["query"])) for index, item in enumerate(built["train"])}
    assert not train & {(item["db_id"], item["query"]) for item in built["seen"]}


def test_one_label_in_five_is_wrong_and_shows(minibench, built, labels):
    wrong = {label["index"]: label for label in labels["wrong"]}
    kinds = {label["kind"] for label in wrong.values()}
    assert len(wrong) == 200 and kinds >= set(KINDS) - {"distinct"}  # of which there may be none: few golds have one
    for index, item in enumerate(built["train"]):
        if index not in wrong:
            continue
        gold = wrong[index]["gold"]
        assert item["query"] != gold
        assert not results_equal(rows(minibench, item, gold), rows(minibench, item), "order by" in gold.lower())
    assert set(labels["styles"]) == {item["db_id"] for item in built["train"]}
    assert {style for styles in labels["styles"].values() for style in styles} == set(STYLES)


@pytest.mark.slow
def test_the_other_labels_are_right(tmp_path, minibench, built, labels):
    """The same benchmark without wrong labels has, where the label is right, the same label, in the same style."""
    build_minibench(tmp_path / "clean", label_errors=0.0)
    clean = json.loads((tmp_path / "clean" / "train_spider.json").read_text())
    wrong = {label["index"]: label["gold"] for label in labels["wrong"]}
    for index, (item, right) in enumerate(zip(built["train"], clean, strict=True)):
        assert item["question"] == right["question"]
        if index in wrong:
            same = results_equal(rows(minibench, item, wrong[index]), rows(minibench, right), False)
            assert same or "order by" in wrong[index].lower()
        else:
            assert item["query"] == right["query"]


def test_wordings_say_the_same_in_other_words(built):
    """syn has no name of a column or table that has a synonym; realistic leaves column names out; values stay."""
    nouns = {noun: synonym for noun, synonym, _ in TABLE_NOUNS}
    shorter = 0
    for plain, synonym, implied in zip(built["dev"], built["syn"], built["realistic"], strict=True):
        assert plain["query"] == synonym["query"] == implied["query"]
        table = plain["query"].split(" FROM ")[1].split()[0].strip("()")
        if table in nouns and f" {table}" in plain["question"]:
            assert f" {table} " not in synonym["question"].replace("?", " ").replace(".", " ")
        shorter += len(implied["question"]) < len(plain["question"])
        values = [part for part in plain["query"].split("'")[1::2] if not part.endswith("%")]
        for value in values:
            assert all(value in item["question"] for item in (plain, synonym, implied)), plain
    assert shorter > 300


def test_every_pattern_gives_questions_and_every_check_bites():
    drawn = Counter()
    for number in range(60):
        rng = random.Random(number)
        with ExitStack() as stack:
            found = draw_database(str(number), rng, stack, refills=0)
            drawn.update(pattern.name for pattern in PATTERNS if draw_question(pattern, found.database, rng))
    assert {pattern.name for pattern in PATTERNS} == set(drawn), {p.name for p in PATTERNS} - set(drawn)


def test_vocabulary_is_plain():
    nouns = [noun for noun, _, _ in TABLE_NOUNS]
    assert len(nouns) == len(set(nouns)) >= 150
    assert not set(nouns) & {synonym for _, synonym, _ in TABLE_NOUNS}
    for attributes in TABLE_ATTRIBUTES.values():
        assert attributes[0].kind == "label" and all(attribute.kind != "label" for attribute in attributes[1:])
        assert {attribute.kind for attribute in attributes} >= {"label", "category", "year"} - {"year"}


def test_bad_arguments_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    for output in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="exists and is not an empty folder"):
            build_minibench(output)
    for arguments in ({"labels": 3}, {"label_errors": 1.0}, {"label_errors": -0.1}):
        with pytest.raises(InputError, match="give at least one label per database"):
            build_minibench(tmp_path / "new", **arguments)
