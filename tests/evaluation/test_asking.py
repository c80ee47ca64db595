"""eval/ask.py: one question, or many at a terminal and through a pipe."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.launcher import ROOT, run_script
from helpers.small_benchmark import edit

from kid.config.run_config import RunConfig, dump_config
from kid.data.encoding import EncodedPrompt
from kid.errors import InputError
from kid.evaluation import asking
from kid.evaluation.asking import Asker
from kid.prompting import PromptSettings, prompt_for

TRAINED = ROOT / "kid" / "minibench" / "models" / "teacher"
QUERY = "SELECT name, age FROM singer WHERE id < 3"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"


class Pretender(Asker):
    """Answers without a model: the question is the SQL."""

    model = tokenizer = None
    read = ""

    def encode(self, question: str) -> EncodedPrompt:
        if question == "too long":
            raise InputError("the question has 9 tokens")
        self.read = question
        return EncodedPrompt([1], 1, 0)

    def write_sql(self, prompt: EncodedPrompt) -> str:
        if self.read == "interrupt":
            raise KeyboardInterrupt
        return self.read


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "eval"))
    spec = spec_from_file_location("eval_ask", ROOT / "eval" / "ask.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def answer(script, database, monkeypatch):
    """answer(bytes on stdin, sql_only=False) -> the exit status."""

    def run(given: bytes, sql_only: bool = False) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        try:
            script.answer_lines(Pretender(Path("model"), database, PromptSettings()), sql_only, print_prompt=False)
        except SystemExit as end:
            return end.code
        return 0

    return run


def ask(*words: object, given: str = "") -> subprocess.CompletedProcess:
    return run_script("eval/ask.py", *words, given=given)


@pytest.fixture
def wine(minibench, tmp_path) -> Path:
    """A database of the kind that TRAINED knows."""
    for path in sorted((minibench / "database").glob("*/*.sqlite")):
        with closing(sqlite3.connect(path)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'wine'").fetchone():
                return Path(shutil.copy(path, tmp_path))
    raise AssertionError("no database has a table of wines")


def test_each_line_is_a_question_and_a_bad_one_costs_a_line(answer, capsys):
    assert answer(f"{QUERY}\n\n  too long\nSELECT nope\nSELECT 7".encode()) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{QUERY}\n") and "Joe" in shown.out and "2 rows\n" in shown.out
    assert "SELECT nope\nSELECT 7\n" in shown.out and shown.out.endswith("1 row\n")  # it goes on
    assert "question>" not in shown.out
    errors = shown.err.splitlines()
    assert errors[0] == 'error: line 3 ("too long"): the question has 9 tokens' and len(errors) == 2
    said = 'error: line 4 ("SELECT nope"): the query does not run: no such column: nope; rephrase the question'
    assert errors[1].startswith(said)


def test_a_query_without_end_is_stopped_and_the_next_is_answered(answer, capsys, monkeypatch):
    monkeypatch.setattr(asking, "SECONDS", 0.3)
    assert answer(f"{ENDLESS}\nSELECT 7\n".encode()) == 1
    shown = capsys.readouterr()
    beginning = " ".join(ENDLESS[:60].split())
    assert f'error: line 1 ("{beginning}..."): the query does not run: timeout;' in shown.err
    assert shown.out.endswith("1 row\n")


def test_a_line_that_is_not_utf_8_is_a_bad_question(script, database, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff?\n"), encoding="utf-8"))
    asker = Asker(Path("model"), database, PromptSettings())
    asker.tokenizer, asker.model = lambda *_, **more: SimpleNamespace(input_ids=[[]]), None  # the model is not reached
    monkeypatch.setattr(asking, "encode_prompt", lambda *_: EncodedPrompt([], 0, 0))
    with pytest.raises(SystemExit):
        script.answer_lines(asker, False, False)
    said = 'error: line 1 ("\\udcff?"): the question or its evidence is not valid Unicode; write it in UTF-8\n'
    assert capsys.readouterr().err == said


def test_exit_ends_without_reading_on(answer, capsys):
    assert answer(b"SELECT 7\nexit\nSELECT 8\n") == 0
    assert "7" in (shown := capsys.readouterr().out) and "8" not in shown


def test_sql_only_is_a_line_for_each_line(answer, capsys):
    assert answer(f"{QUERY}\ntoo long\n\nSELECT nope\nSELECT '\x1b[1m'\n".encode(), sql_only=True) == 1
    shown = capsys.readouterr()
    # As the model wrote it: escapes are for terminals, and what does not run is not run.
    assert shown.out == f"{QUERY}\n\n\nSELECT nope\nSELECT '\x1b[1m'\n"
    assert shown.err == 'error: line 2 ("too long"): the question has 9 tokens\n'


def test_an_interrupt_ends_questions_from_a_pipe(answer):
    with pytest.raises(KeyboardInterrupt):
        answer(b"interrupt\nSELECT 7\n")


def test_no_input_at_all_is_said(script, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="no standard input to read questions from"):
        script.answer_lines(None, False, False)


def test_a_question_over_the_limit_is_refused_before_anything_is_read(tiny_models):
    asker = Asker(tiny_models / "teacher", Path("nowhere.sqlite"), PromptSettings(max_prompt_length=20))
    with pytest.raises(
        InputError, match=r"the question has \d+ tokens, but prompts are limited to 20; use fewer words"
    ):
        asker.encode("how many " * 20)
    with pytest.raises(InputError, match=r"nowhere\.sqlite does not exist"):
        asker.encode("how?")


@pytest.mark.slow
def test_one_question_shows_sql_and_the_reason_it_does_not_run(tiny_models, wine):
    flags = ["--model", tiny_models / "teacher", "--database", wine, "--max-completion-length", 5]
    done = ask(*flags, "How many are there?")
    assert done.returncode == 1 and done.stdout.count("\n") == 1
    assert "has no kid_export.json and no config.yaml beside it" in done.stderr
    assert "error: the query does not run: " in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"--database": "nothing.sqlite"}, "--database nothing.sqlite does not exist"),
        ({"--database": ROOT / "README.md"}, "README.md: file is not a database; give another SQLite file"),
        ({"--database": ROOT / "docs"}, "docs is a folder; give a SQLite file; the folder has no .sqlite"),
        ({"--model": "nowhere"}, "--model nowhere does not exist"),
        ({"--tables": "nowhere"}, "tables nowhere does not exist"),
        ({"question": " "}, "the question is empty"),
        ({"question": None, "--database": ROOT / "README.md"}, "file is not a database"),  # before any is read
    ],
)
def test_bad_input_is_one_line(wine, replaced, message):
    given = {"--model": TRAINED, "--database": wine, "question": "?"} | replaced
    question = given.pop("question")
    words = [word for pair in given.items() for word in pair] + ([] if question is None else [question])
    done = ask(*words, given="How?\n")
    assert done.returncode == 2 and message in done.stderr and done.stderr.splitlines()[-1].startswith("error: ")
    assert done.stdout == ""


@pytest.mark.slow
def test_questions_through_a_pipe_with_the_prompt_of_a_run(wine, tmp_path):
    """The prompt is the run's and goes to stderr; beams are chosen from; evidence is given although untrained."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "model").symlink_to(TRAINED)
    config = RunConfig(student="s", data="d", lora_rank=0, evidence=False, max_prompt_length=900)
    (run / "config.yaml").write_text(dump_config(config))
    flags = ["--model", run, "--database", wine, "--sql-only", "--print-prompt", "--beams", 2]
    done = ask(*flags, "--evidence-text", "Wines  are bottled", given="How many wines are there?\nList all wines.\n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert lines[0] == "SELECT COUNT(*) FROM wine" and lines[1].startswith("SELECT ") and lines[2:] == [""]
    assert f"settings from {run}/config.yaml: --evidence no --max-prompt-length 900\n" in done.stderr
    assert "note: the model was trained without evidence, but " in done.stderr
    settings, evidence = PromptSettings(max_prompt_length=900), "Wines  are bottled"
    prompts = [prompt_for(wine, text, settings, evidence) for text in ("How many wines are there?", "List all wines.")]
    assert done.stderr.endswith("".join(prompts)) and "\nWines are bottled List all wines.\n" in done.stderr


@pytest.mark.slow
def test_what_reads_the_sql_may_stop(wine):
    command = [sys.executable, ROOT / "eval" / "ask.py", "--model", TRAINED, "--database", wine, "--sql-only"]
    asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    asking.stdin.write("How many wines are there?\n")
    asking.stdin.flush()
    assert asking.stdout.readline().startswith("SELECT ")
    asking.stdout.close()
    errors = asking.communicate("How many wines are there?\n" * 3, timeout=60)[1]
    assert "Traceback" not in errors and asking.returncode == 0


def as_a_shell_would() -> None:
    # Only the terminal that controls its session turns Ctrl-C into a signal, which tests in the background ignore.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A script at a terminal of its own."""

    def __init__(self, *words: object):
        self.shown = b""
        self.handle, inner = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, *map(str, words)], stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=as_a_shell_would, env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )  # fmt: skip
        os.close(inner)

    def read(self, seconds: float) -> bool:
        """Read what is shown next; False at its end, or after so many seconds."""
        if not select.select([self.handle], [], [], seconds)[0]:
            return False
        try:
            new = os.read(self.handle, 65536)
        except OSError:  # its other end is closed
            return False
        self.shown += new
        return bool(new)

    def expect(self, text: str) -> str:
        """What is shown up to a text. If nothing comes, the test fails with the place where the script is."""
        while text.encode() not in self.shown:
            if not self.read(60):
                before = bytes(self.shown)
                self.process.send_signal(signal.SIGABRT)
                while self.read(5):
                    pass
                pytest.fail(f"{text!r} is not in {before!r}\n{self.shown[len(before) :].decode(errors='replace')}")
        before, _, self.shown = self.shown.partition(text.encode())
        return before.decode()

    def interrupt_until(self, text: str) -> None:
        """Ctrl-C, and again where 20 seconds show nothing: Python drops one that comes while it destroys an object."""
        for _ in range(3):
            self.type("\x03")
            while text.encode() not in self.shown and self.read(20):
                pass
            if text.encode() in self.shown:
                break
        self.expect(text)

    def type(self, text: str) -> None:
        time.sleep(0.3)  # a person does not type before the line is there, and readline is not yet ready either
        os.write(self.handle, text.encode())

    def end(self) -> int:
        """The exit status."""
        while self.read(30):
            pass
        return self.process.wait(30)


@pytest.fixture
def terminal():
    opened = []

    def start(*words: object) -> Terminal:
        opened.append(Terminal(ROOT / "eval" / "ask.py", *words))
        return opened[-1]

    yield start
    for one in opened:
        one.process.kill()
        one.process.wait()
        os.close(one.handle)


@pytest.mark.slow
def test_a_conversation_at_a_terminal(terminal, wine):
    one = terminal("--model", TRAINED, "--database", wine)
    assert f"ask about {wine}; exit or Ctrl-D quits" in one.expect("question> ")
    one.type("How many wines are their\x7f\x7fre?\r")  # edited
    assert "SELECT COUNT(*) FROM wine" in one.expect("1 row")
    one.expect("question> ")
    one.type("\r")
    one.expect("question> ")
    one.type("why " * 700 + "\r")
    one.expect("error: the question has ")
    one.expect("question> ")
    one.type("\x04")
    assert one.end() == 0


@pytest.mark.slow
def test_ctrl_c_gives_up_one_question_and_at_the_prompt_ends(terminal, tiny_models, wine, tmp_path):
    """An untrained model does not come to an end by itself."""
    model = tmp_path / "model"
    shutil.copytree(tiny_models / "student", model)
    edit(model / "config.json", lambda values: values.update(max_position_embeddings=2 * 10**6))
    one = terminal("--model", model, "--database", wine, "--print-prompt", "--max-completion-length", 10**6)
    for question in ("How many wines are there?", "And now?"):
        one.expect("question> ")
        one.type(f"{question}\r")
        one.expect("matched contents :")
        one.expect(f"{question}\r\n")
        one.interrupt_until("the question is cancelled")
    one.expect("question> ")
    one.type("\x03")
    assert one.end() == 130
    lines = [line for line in one.shown.decode().replace("^C", "").splitlines() if line]
    assert lines == ["interrupted: nothing was written; the database is only read"]


def test_a_database_that_the_tables_json_of_training_describes_is_noted(tmp_path, wine):
    run, data = tmp_path / "run", tmp_path / "data"
    for folder in (run / "model", data):
        folder.mkdir(parents=True)
    config = RunConfig(student="s", benchmark="jsonl", data=str(data), lora_rank=0)
    (run / "config.yaml").write_text(dump_config(config))
    assert asking.tables_note(run / "model", wine) is None  # training had no tables.json
    (data / "tables.json").write_text(json.dumps([{"db_id": wine.stem, "table_names_original": []}]))
    line = asking.tables_note(run / "model", wine)
    assert line.endswith(f"keys of {wine.stem} from {data}/tables.json; add --tables {data}/tables.json")
    assert asking.tables_note(run / "model", wine.with_name("other.sqlite")) is None
    assert asking.tables_note(tmp_path / "export", wine) is None
    (data / "tables.json").write_text("{")  # the data may have changed since training
    assert asking.tables_note(run / "model", wine) is None
