"""Control characters out of data, models and files are shown as escapes wherever this program prints."""

import io
import json
import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from helpers.launcher import ROOT
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from kid.console import Console
from kid.errors import print_error
from kid.terminal import PrintableStream, escape_output, printable, unescaped

OWN_TITLE = "\x1b]2;mine\x07"  # OSC: the terminal's title
NASTY = f"a{OWN_TITLE}\x1b[2Jb\x9b31mc\u202ed\u2066e\u200bf\u2028g"
SHOWN = r"a\x1b]2;mine\x07\x1b[2Jb\x9b31mc\u202ed\u2066e\u200bf\u2028g"
ACTING = set(
    "\x00\x07\x08\x0b\x0c\x0e\x1a\x1b\x7f\x84\x9b\u061c\u200b\u200e\u200f\u202a\u202e\u2028\u2029\u2066\u2069\ufeff"
)


def passes(text: str) -> bool:
    return not ACTING & set(text)


def test_what_acts_or_hides_is_shown_as_an_escape():
    assert printable(NASTY) == SHOWN and printable(SHOWN) == SHOWN
    codes = [*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    others = "\u061c\u200e\u200f\u200b\u200c\u200d\u2028\u2029\u00ad\u2060\ufeff\ud800\udcff\ufff9\u3164\U000e0041"
    for character in [*map(chr, codes), *others]:
        if character not in "\n\t\r":
            assert printable(f"x{character}y") == ascii(f"x{character}y")[1:-1]
    assert printable("x\r\n\ty") == "x\\x0d\n\ty"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'a\\x1b' FROM t;\n\tnext line",
        "déjà\u00a0vu, 東京\u3000都, Ωμέγα, Привет, שלום, مرحبا",
        "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627, क्\u200dष, 👩\u200d💻, ❤️\u200d🔥, e\u0301",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert printable(text) == text


def test_joiners_hide_nothing_between_other_letters():
    assert printable("ad\u200dmin क\u200d\u200dष") == r"ad\u200dmin क\u200d\u200dष"


def test_a_stream_escapes_whoever_prints():
    raw = io.StringIO()
    stream = PrintableStream(raw)
    print(NASTY, file=stream)
    stream.writelines([NASTY, "\r"])
    handler = logging.StreamHandler(stream)
    handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, NASTY, None, None))
    assert raw.getvalue() == f"{SHOWN}\n{SHOWN}\\x0d{SHOWN}\n"
    assert stream.getvalue() == raw.getvalue() and unescaped(stream) is raw and unescaped(raw) is raw


def test_bars_move_the_cursor_and_nothing_else_does():
    raw = io.StringIO()
    stream = PrintableStream(raw, bars=True)
    with (
        tqdm(total=1, desc=f"outer\r{NASTY}", file=stream, position=0, mininterval=0) as bar,
        tqdm(total=1, desc="inner", file=stream, position=1, mininterval=0) as inner,
    ):
        inner.update()
        bar.update()
    shown = raw.getvalue()
    assert rf"outer\x0d{SHOWN}" in shown and "\rinner: 100%" in shown and "\x1b[A" in shown
    assert not ACTING & set(shown.replace("\x1b[A", ""))
    for text in (f"x\r{NASTY}", f"\x1b[A{NASTY}", f"\r\x1b[A{NASTY}"):
        raw = io.StringIO()
        PrintableStream(raw, bars=True).write(text)
        assert passes(raw.getvalue()) and raw.getvalue().count("\r") <= text.startswith("\r")


def test_a_console_escapes_strings_and_texts_and_reads_no_markup():
    out = io.StringIO()
    console = Console(file=out, width=300, force_terminal=True, color_system="truecolor")
    table = Table(title=NASTY)
    table.add_column(NASTY)
    table.add_row(f"[link=https://example.org]{NASTY}[/link] :smile: [/]")
    table.add_row(Text(NASTY, style="bold"))
    console.print(table)
    console.print(f"[bold]{NASTY}[/]", Text(NASTY), highlight=False)
    console.print("[green]own[/] colours", markup=True)
    shown = out.getvalue()
    assert f"[link=https://example.org]{SHOWN}[/link] :smile: [/]" in shown and f"[bold]{SHOWN}[/]" in shown
    assert "]8;" not in shown and "]2;mine\x07" not in shown and "\x9b" not in shown and "\u202e" not in shown
    assert "\x1b[32mown\x1b[0m colours" in shown  # rich's own


def test_columns_fit_what_is_shown():
    out = io.StringIO()
    table = Table("a", "b")
    table.add_row("\x07" * 3, "c")
    table.add_row("x", "c")
    Console(file=out, width=80).print(table)
    assert len({len(line) for line in out.getvalue().splitlines()}) == 1


def test_an_error_is_one_line_that_does_nothing(capsys):
    print_error(f"--data {NASTY}\nis not there")
    assert capsys.readouterr().err == f"error: --data {SHOWN} is not there\n"


def test_both_streams_are_escaped_once(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    escape_output()
    streams = sys.stdout, sys.stderr
    escape_output()
    assert (sys.stdout, sys.stderr) == streams and isinstance(unescaped(sys.stdout), io.StringIO)
    print(NASTY, file=sys.stderr)
    assert SHOWN in unescaped(sys.stderr).getvalue() and passes(unescaped(sys.stderr).getvalue())


@pytest.mark.parametrize("kind", ["InputError", "RunError", "KeyError"])
def test_a_scripts_prints_errors_and_tracebacks_are_escaped(kind):
    code = (
        "import sys; from kid.errors import *; from kid.terminal import unescaped\n"
        f"nasty = {NASTY!r}\n"
        "class Own(Exception):\n    __str__ = lambda self: nasty\n"
        f"def main():\n    print(nasty + '\\ud800')\n    print('read by a program', file=unescaped(sys.stdout))\n"
        f"    print(nasty, file=sys.stderr)\n    raise {'Own' if kind == 'KeyError' else kind}(nasty)\n"
        "run_script(main)"
    )
    done = run(["-c", code])
    assert done.stdout == f"{SHOWN}\\ud800\nread by a program\n"
    assert (
        passes(done.stderr) and done.stderr.count(SHOWN) == 2 and done.returncode == (2 if kind == "InputError" else 1)
    )
    assert ("Traceback" in done.stderr) == (kind == "KeyError")


def run(arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120
    )


@pytest.fixture
def nasty_data(tmp_path):
    """One question on a database, all of whose texts are nasty; its prediction is too."""
    place = tmp_path / "database" / "db" / "db.sqlite"
    place.parent.mkdir(parents=True)
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute(f'CREATE TABLE "songs{NASTY}" ("title{NASTY}" TEXT)')
        connection.execute(f'INSERT INTO "songs{NASTY}" VALUES (?)', [NASTY])
    question = {"db_id": "db", "question": f"Which {NASTY}?", "query": f'SELECT "{NASTY}" FROM "none{NASTY}"'}
    (tmp_path / "dev.jsonl").write_text(json.dumps(question) + "\n")
    (tmp_path / "predictions.sql").write_text(f"SELECT '{NASTY.replace(chr(0x2028), '')}' FROM nothing{OWN_TITLE}\n")
    return tmp_path


def test_score_and_its_failures_page(nasty_data):
    page, predictions = nasty_data / "f.md", (nasty_data / "predictions.sql")
    before = predictions.read_bytes()
    flags = ["--benchmark", "jsonl", "--data", nasty_data, "--workers", 1, "--failures", page]
    done = run(["eval/score.py", *flags, "--predictions", predictions, "--json", nasty_data / "s.json"])
    assert done.returncode == 0, done.stderr
    assert r"no such table: nonea\x1b]2;mine\x07\x1b[2Jb\x9b31mc\u202ed" in done.stdout
    assert passes(done.stdout + done.stderr + page.read_text())
    assert predictions.read_bytes() == before
    stored = json.loads((nasty_data / "s.json").read_text())["verdicts"][0]["error"]
    assert "\x1b]2;mine\x07" in stored  # for machines, as it is


@pytest.mark.slow
def test_show_prompt_shows_what_the_model_reads(nasty_data):
    flags = ["--benchmark", "jsonl", "--data", nasty_data, "--index", 0]
    done = run(["eval/show_prompt.py", *flags])
    assert done.returncode == 0, done.stderr
    assert passes(done.stdout + done.stderr)
    assert done.stdout.count(r"\x1b]2;mine\x07") >= 4  # table, column, question, gold query


def test_rows_of_an_answer(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "eval"))
    import ask

    ask.show([f"n{NASTY}"], [(NASTY,), (None,)])
    shown = capsys.readouterr().out
    assert passes(shown) and r"\x1b]2;mine" in shown and "NULL" in shown


def test_a_file_name_in_an_error(nasty_data):
    done = run(["eval/score.py", "--benchmark", "jsonl", "--data", nasty_data, "--predictions", f"p{NASTY}.sql"])
    assert done.returncode == 2 and passes(done.stderr) and f"p{SHOWN}.sql" in done.stderr
