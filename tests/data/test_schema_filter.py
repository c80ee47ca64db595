"""Which tables and columns a prompt over the limit keeps."""

import json

import numpy as np
import pytest

from kid.data.schema import Column, Schema, Table
from kid.data.schema_filter import (
    SELECTION_SIZES,
    apply_selection,
    lexical_ranking,
    read_rankings,
    select_top,
    split_words,
    training_selection,
)
from kid.errors import InputError


def make_schema(**tables: list[str]) -> Schema:
    made = [Table(t, tuple(Column(c, "", "text", c == "id") for c in columns)) for t, columns in tables.items()]
    return Schema("db", tuple(made), (("pets", "owner_id", "owners", "id"), ("visits", "pet_id", "pets", "id")))


SCHEMA = make_schema(
    owners=["id", "full_name", "city"],
    pets=["id", "owner_id", "birthDate", *[f"note{n}" for n in range(12)]],
    visits=["id", "pet_id", "cost"],
    **{f"extra{n}": ["id", "thing"] for n in range(8)},
)


def test_words_are_split_at_underscores_blanks_and_capitals():
    assert split_words("birthDate_of the HTTPServer2") == ["birth", "date", "http", "server", "2"]
    assert split_words("of") == ["of"]  # a name of nothing but stop words stays


def test_ranking_goes_by_words_values_and_keys():
    ranking = lexical_ranking(SCHEMA, "What is the birth date of each pet of owners?", {})
    assert list(ranking)[:2] == ["pets", "owners"]
    assert ranking["pets"][:3] == ["birthDate", "owner_id", "id"]
    assert sum(map(len, ranking.values())) == sum(len(table.columns) for table in SCHEMA.tables)
    ranking = lexical_ranking(SCHEMA, "Who lives in Oslo?", {("Owners", "CITY"): ["Oslo"]})
    assert next(iter(ranking)) == "owners" and ranking["owners"][0] == "city"


def test_a_question_without_a_word_in_common_keeps_the_schemas_order():
    ranking = lexical_ranking(SCHEMA, "zzz", {})
    assert next(iter(ranking)) == "owners" and list(ranking)[-1] == "extra7"


def test_top_of_takes_six_tables_and_ten_columns_that_exist():
    ranking = {"nowhere": ["x"], "PETS": ["gone", "Note3", *[c.name for c in SCHEMA.tables[1].columns]]}
    ranking |= {table.name: [c.name for c in table.columns] for table in SCHEMA.tables if table.name != "pets"}
    chosen = select_top(ranking, SCHEMA)
    assert list(chosen) == [
        "extra2",
        "extra1",
        "extra0",
        "visits",
        "owners",
        "pets",
    ]  # the best nearest to the question
    assert len(chosen["pets"]) == 10 and chosen["pets"][-2:] == ["id", "note3"] and chosen["pets"].count("note3") == 1


def test_training_keeps_the_gold_items_and_fills_up_at_random():
    gold = {"pets": {"owner_id", "note11"}, "visits": set()}
    seen = set()
    for seed in range(20):
        chosen = training_selection(SCHEMA, gold, np.random.default_rng(seed))
        assert len(chosen) == 6 and {"pets", "visits"} <= set(chosen)
        assert len(chosen["pets"]) == 10 and {"owner_id", "note11"} <= set(chosen["pets"])
        assert all(len(set(columns)) == len(columns) for columns in chosen.values())
        seen.add(tuple(chosen))
    assert len(seen) == 20  # others, and in another order, for each seed
    again = [training_selection(SCHEMA, gold, np.random.default_rng(3)) for _ in range(2)]
    assert again[0] == again[1] and list(again[0]) == list(again[1])


def test_training_keeps_gold_items_beyond_the_usual_number():
    gold = {table.name: {column.name for column in table.columns} for table in SCHEMA.tables[:8]}
    chosen = training_selection(SCHEMA, gold, np.random.default_rng(0))
    assert set(chosen) == set(gold) and len(chosen["pets"]) == 15


def test_smaller_sizes_take_less_and_never_of_the_gold_items():
    gold = {"pets": {"owner_id", "note11"}, "visits": {"cost"}}
    ranking = {table.name: [column.name for column in table.columns] for table in SCHEMA.tables}
    chosen = [training_selection(SCHEMA, gold, np.random.default_rng(0), size) for size in SELECTION_SIZES]
    ranked = [select_top(ranking, SCHEMA, size) for size in SELECTION_SIZES]
    for selections in (chosen, ranked):
        cells = [sum(map(len, selection.values())) for selection in selections]
        assert cells == sorted(cells, reverse=True)
    for selection in chosen:
        assert all(columns <= set(selection[table]) for table, columns in gold.items())
    assert list(ranked[-1].items()) == [("owners", ["full_name", "id"])]
    assert set(chosen[-1]) == set(gold) and set(chosen[-1]["pets"]) == gold["pets"] and len(chosen[-1]["visits"]) == 2


def test_foreign_keys_stay_between_tables_that_stay():
    smaller = apply_selection(SCHEMA, {"pets": ["note1", "id"], "owners": ["city"]})
    assert [table.name for table in smaller.tables] == ["pets", "owners"]
    assert [column.name for column in smaller.tables[0].columns] == ["note1", "id"]
    assert smaller.foreign_keys == (("pets", "owner_id", "owners", "id"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("[{", "is not valid JSON"),
        (json.dumps([{"t": ["c"]}]), "expected a list of 2 objects .*; it has 1"),
        (json.dumps([{"t": "c"}, {}]), "expected a list of 2 objects"),
        (json.dumps({"t": ["c"]}), "expected a list of 2 objects"),
    ],
)
def test_damaged_rankings(tmp_path, content, message):
    path = tmp_path / "rankings.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_rankings(path, 2)


def test_rankings_are_read_in_order(tmp_path):
    rankings = [{"t": ["c", "d"]}, {"u": []}]
    (tmp_path / "rankings.json").write_text(json.dumps(rankings))
    assert read_rankings(tmp_path / "rankings.json", 2) == rankings
