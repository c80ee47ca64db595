"""Where the files of each split are found, how many questions they hold, and what is said of damaged ones."""

import json
from collections import Counter

import pytest

from kid.config.benchmarks import BENCHMARKS
from kid.data.faults import Damage
from kid.data.questions import find_databases, find_tables, infer_benchmark, load_questions
from kid.errors import InputError

PAPER = {
    ("spider", "train"): 8659,
    ("spider", "dev"): 1034,
    ("spider", "dk"): 535,
    ("spider", "realistic"): 508,
    ("spider", "syn"): 1034,
    ("bird", "train"): 9428,
    ("bird", "dev"): 1534,
}


@pytest.mark.parametrize(("benchmark", "split"), PAPER)
def test_every_split_has_the_papers_count(real_data, benchmark, split):
    questions = load_questions(benchmark, split, real_data / benchmark)
    assert len(questions) == PAPER[benchmark, split]
    assert [question.index for question in questions] == list(range(len(questions)))
    assert all(question.db_id and question.question and question.query for question in questions)


def test_fields_of_the_benchmarks_own_names(real_data):
    plain, syn = (load_questions("spider", split, real_data / "spider") for split in ("dev", "syn"))
    assert sum(a.query == b.query for a, b in zip(plain, syn, strict=True)) == 982
    assert sum(a.question != b.question for a, b in zip(plain, syn, strict=True)) == 879
    bird = load_questions("bird", "dev", real_data / "bird")
    assert bird[0].evidence.startswith("Eligible free rate") and bird[0].query.startswith("SELECT `Free Meal Count")
    assert sum(bool(question.evidence) for question in bird) == 1386
    assert not any(question.evidence for question in plain)


def test_variants_have_their_databases_in_two_places(real_data):
    questions = load_questions("spider", "dk", real_data / "spider")
    found = find_databases("spider", "dk", real_data / "spider", [question.db_id for question in questions])
    assert Counter(path.parents[2].name for path in found.values()) == {"spider": 7, "spider_dk": 3}
    assert find_tables("spider", "dk", real_data / "spider").parent.name == "spider_dk"
    assert find_tables("spider", "syn", real_data / "spider").parent.name == "spider"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def write(path, items):
    path.write_text(json.dumps(items))


GOOD = {"db_id": "d", "question": "How many?", "query": "SELECT 1"}


@pytest.mark.parametrize("place", ["data/spider_syn", "spider_syn"])
def test_a_variant_lies_in_the_data_folder_or_beside_it(folder, place):
    path = folder.parent / place
    path.mkdir()
    write(path / "dev.json", [{"db_id": "d", "SpiderSynQuestion": "How much?", "query": "SELECT 1"}])
    write(folder / "dev.json", [GOOD])
    write(folder / "tables.json", [])
    assert load_questions("spider", "syn", folder)[0].question == "How much?"
    assert find_tables("spider", "syn", folder) == folder / "tables.json"


def test_a_missing_variant_does_not_fall_back_to_another_split(folder):
    write(folder / "dev.json", [GOOD])
    with pytest.raises(InputError, match=r"no questions of split syn: .*spider_syn/dev.json or .* does not exist"):
        load_questions("spider", "syn", folder)


def test_birds_official_folders(folder):
    (folder / "dev_20240627" / "dev_databases" / "d").mkdir(parents=True)
    write(folder / "dev_20240627" / "dev.json", [{"db_id": "d", "question": "q", "SQL": "SELECT 1", "evidence": "e"}])
    (folder / "dev_20240627" / "dev_databases" / "d" / "d.sqlite").touch()
    (question,) = load_questions("bird", "dev", folder)
    assert (question.query, question.evidence) == ("SELECT 1", "e")
    assert list(find_databases("bird", "dev", folder, ["d"])) == ["d"]


@pytest.mark.parametrize("place", ["", "MINIDEV", "minidev/MINIDEV"])
def test_birds_mini_dev(folder, place):
    (folder / place / "dev_databases" / "d").mkdir(parents=True)
    item = {
        "question_id": 1471,
        "db_id": "d",
        "question": "q",
        "evidence": "e",
        "SQL": "SELECT 1",
        "difficulty": "simple",
    }
    write(folder / place / "mini_dev_sqlite.json", [item])
    write(folder / place / "dev_tables.json", [])
    (folder / place / "dev_databases" / "d" / "d.sqlite").touch()
    (question,) = load_questions("bird", "mini-dev", folder)
    assert (question.query, question.evidence, question.difficulty) == ("SELECT 1", "e", "simple")
    assert find_tables("bird", "mini-dev", folder) == folder / place / "dev_tables.json"
    assert list(find_databases("bird", "mini-dev", folder, ["d"])) == ["d"]


def test_jsonl_of_both_kinds(folder):
    lines = [{"prompt": "Count: ", "completion": "SELECT 1"}, GOOD]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n\n" for line in lines))
    whole, usual = load_questions("jsonl", "train", folder)
    assert (whole.prompt, whole.query, whole.db_id) == ("Count: ", "SELECT 1", "")
    assert (usual.db_id, usual.question, usual.query, usual.prompt) == ("d", "How many?", "SELECT 1", "")
    assert find_tables("jsonl", "train", folder) is None


def test_files_and_folders_given_by_hand(folder):
    write(folder / "own.json", [GOOD])
    write(folder / "own_tables.json", [])
    for root in ("a", "b"):
        (folder / root / "d").mkdir(parents=True)
        (folder / root / "d" / "d.sqlite").touch()
    assert len(load_questions("spider", "dev", folder, folder / "own.json")) == 1
    assert find_tables("spider", "dev", folder, folder / "own_tables.json").name == "own_tables.json"
    found = find_databases("spider", "dev", folder, ["d"], [str(folder / "b"), str(folder / "a")])
    assert found["d"].parents[1].name == "b"


def test_a_truncated_file_names_its_place_and_can_be_read_up_to_there(folder):
    text = json.dumps([{**GOOD, "question": f"How many {n}?"} for n in range(5)], indent=1)
    (folder / "dev.json").write_text(text[: text.index("How many 3")])
    with pytest.raises(
        InputError, match=r"dev.json, line 19, after 3 complete items: it may be truncated; .*--damaged skip"
    ):
        load_questions("spider", "dev", folder)
    damage = Damage("skip")
    assert [q.question for q in load_questions("spider", "dev", folder, damage=damage)] == [
        "How many 0?", "How many 1?", "How many 2?",
    ]  # fmt: skip
    assert damage.lines() == [
        f"not valid JSON: {folder / 'dev.json'}, line 19, after 3 complete items: it may be truncated"
    ]


def test_all_questions_without_sql_are_named_and_keep_their_places(folder):
    write(folder / "dev.json", [GOOD, {**GOOD, "query": " "}, GOOD, {"db_id": "d", "question": "q"}])
    with pytest.raises(InputError) as caught:
        load_questions("spider", "dev", folder)
    assert "question with no query (2 times): " in str(caught.value)
    assert "item 1, " in str(caught.value) and "item 3;" in str(caught.value) and "\n" not in str(caught.value)
    questions = load_questions("spider", "dev", folder, damage=Damage("skip"))
    assert [question.fault for question in questions] == ["", "no query", "", "no query"]


@pytest.mark.parametrize("key", ["sql", "SQL"])
def test_sql_under_another_key_is_named(folder, key):
    (folder / "dev.jsonl").write_text(json.dumps({"db_id": "d", "question": "q", key: "SELECT 1"}) + "\n")
    with pytest.raises(
        InputError, match=rf"question with no query \(its SQL is called {key}; rename it to query\): .*1"
    ):
        load_questions("jsonl", "dev", folder)


def test_many_faults_and_missing_databases_are_counted(folder):
    write(folder / "dev.json", [{"db_id": "d", "question": "q"}] * 7)
    with pytest.raises(InputError, match=r"no query \(7 times\): .*item 0, .*item 4, \.\.\. \(7 in all\); fix this"):
        load_questions("spider", "dev", folder)
    with pytest.raises(InputError, match=r"no database for 6 of 6 .*: a, b, c, d, e, \.\.\. \(6 in all\); put each"):
        find_databases("spider", "dev", folder, list("abcdef"))
    damage = Damage("skip")
    load_questions("spider", "dev", folder, damage=damage)
    assert "item 6" in damage.lines()[0]  # what is left out is named


def test_a_broken_line_of_jsonl_is_named(folder):
    (folder / "dev.jsonl").write_text(json.dumps(GOOD) + '\n{"db_id": "d", "quest\n' + json.dumps(GOOD) + "\n")
    with pytest.raises(InputError, match=r"not valid JSON: .*dev.jsonl, line 2"):
        load_questions("jsonl", "dev", folder)
    assert len(load_questions("jsonl", "dev", folder, damage=Damage("skip"))) == 2


def test_items_that_are_no_questions_are_named(folder):
    half = {**GOOD, "question": "\ud800"}
    write(folder / "dev.json", [None, GOOD, 5, half, {**GOOD, "evidence": ["a"]}])
    with pytest.raises(InputError) as caught:
        load_questions("spider", "dev", folder)
    message = str(caught.value)
    assert "not an object but null: " in message and "not an object but a number: " in message
    assert "item 0;" in message and "item 2;" in message
    assert "question with no question: " in message and "question with no text in evidence: " in message
    questions = load_questions("spider", "dev", folder, damage=Damage("skip"))
    assert [question.fault for question in questions] == ["", "no question", "no text in evidence"]
    (folder / "dev.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="is not valid JSON"):
        load_questions("spider", "dev", folder)


def test_a_db_id_too_long_for_a_file_name_has_no_database(folder):
    with pytest.raises(InputError, match="no database for 1 of 1"):
        find_databases("spider", "dev", folder, ["d" * 300])


BAD_NAMES = ["..", ".", "../d", "/etc", "a/b", "a\\b", "a\0b", "d" * 256]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_db_id_that_is_no_name_of_a_folder_is_a_fault_of_its_question(folder, name):
    write(folder / "dev.json", [{**GOOD, "db_id": name}, GOOD])
    with pytest.raises(InputError, match=r"^question with a db_id that [^\n]*item 0; .*--damaged skip$"):
        load_questions("spider", "dev", folder)
    damage = Damage("skip")
    bad, good = load_questions("spider", "dev", folder, damage=damage)
    assert bad.fault.startswith("a db_id that ") and bad.db_id == "" and good.fault == ""
    assert len(damage.lines()) == 1


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_db_id_finds_no_database_outside_its_root(folder, tmp_path, name):
    root = folder / "database"
    root.mkdir()
    for path in (tmp_path / "d" / "d.sqlite", folder / "...sqlite", root / "..sqlite", root / "a\\b" / "a\\b.sqlite"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert find_databases("spider", "dev", folder, [name], [str(root)], "skip") == {}


def test_a_database_that_is_a_link_is_found(folder, tmp_path):
    (folder / "database").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "d.sqlite").touch()
    (folder / "database" / "d").symlink_to(tmp_path / "store")
    assert list(find_databases("spider", "dev", folder, ["d"])) == ["d"]


@pytest.mark.parametrize(
    "text", ["[" * 5000, '[{"db_id": ' + "9" * 5000 + "}]", '{"a":' * 5000, "[" * 5000 + "]" * 5000]
)
@pytest.mark.parametrize("name", ["dev.json", "dev.jsonl"])
def test_hostile_json_is_one_line(folder, text, name):
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=r"^[^\n]{1,400}$"):
        load_questions("spider" if name == "dev.json" else "jsonl", "dev", folder)


@pytest.mark.parametrize("content", ['{"a": 1}', "[1, 2]", "[]", ""])
def test_a_file_of_something_else(folder, content):
    (folder / "dev.json").write_text(content)
    with pytest.raises(InputError, match="expected one JSON list" if content[:1] != "[" else "contains no questions"):
        load_questions("spider", "dev", folder, damage=Damage("skip"))


def test_a_file_without_a_question_says_what_it_has_instead(folder):
    write(folder / "dev.json", [5])
    with pytest.raises(
        InputError, match=r"^not an object but a number: .*dev.json, item 0; .*dev.json: contains no questions$"
    ):
        load_questions("spider", "dev", folder, damage=Damage("skip"))


def test_unknown_names_list_what_there_is(folder):
    with pytest.raises(InputError, match="choose one of spider, bird, jsonl"):
        load_questions("wikisql", "dev", folder)
    with pytest.raises(InputError, match="choose one of train, dev, dk, realistic, syn, seen, valid"):
        load_questions("spider", "test", folder)


def test_a_new_benchmark_is_a_row(folder, monkeypatch):
    from kid.config.benchmarks import Benchmark, Split

    monkeypatch.setitem(BENCHMARKS, "sixth", Benchmark({"dev": Split(("d.json",), query_field="sql")}, "spider", True))
    write(folder / "d.json", [{"db_id": "d", "question": "q", "sql": "SELECT 6"}])
    assert load_questions("sixth", "dev", folder)[0].query == "SELECT 6"


@pytest.mark.parametrize(
    ("files", "benchmark"),
    [
        (["dev.json", "tables.json"], "spider"),
        (["seen.json", "tables.json"], "spider"),
        (["spider_dk/Spider-DK.json", "spider_dk/tables.json"], "spider"),
        (["dev.json", "dev_tables.json"], "bird"),
        (["dev_20240627/dev.json", "dev_20240627/dev_tables.json"], "bird"),
        (["dev.jsonl"], "jsonl"),
        (["train.jsonl", "tables.json", "../spider_dk/Spider-DK.json"], "jsonl"),  # what lies beside does not count
    ],
)
def test_the_benchmark_is_inferred_from_its_files_and_said(folder, files, benchmark, capsys):
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert infer_benchmark(folder) == benchmark
    assert capsys.readouterr().err.startswith(f"note: --benchmark {benchmark}, because of {files[0]} in {folder}")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no files of a known benchmark; set --benchmark to one of spider, bird, jsonl"),
        (["dev.json"], "has no files of a known benchmark"),  # of Spider, or of BIRD
        (["dev.jsonl", "dev.json", "tables.json"], "has the files of spider and jsonl; set --benchmark"),
    ],
)
def test_a_folder_that_leaves_the_benchmark_open(folder, files, message):
    for name in files:
        (folder / name).touch()
    with pytest.raises(InputError, match=message):
        infer_benchmark(folder)
    with pytest.raises(InputError, match="does not exist"):
        infer_benchmark(folder / "absent")
