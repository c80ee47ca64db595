"""What the main process says, and the others do not."""

import sys

from kid.progress import log


def test_rank_0_speaks_for_all(capsys, monkeypatch):
    for rank, said in ((None, "a\n"), ("0", "a\n"), ("1", "")):
        monkeypatch.delenv("RANK", raising=False)
        if rank:
            monkeypatch.setenv("RANK", rank)
        log.info("a")
        log.warning("note: b")
        printed = capsys.readouterr()
        assert (printed.out, printed.err) == (said, said.replace("a", "note: b"))


def test_lines_go_where_stdout_goes_then(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stderr)
    log.info("a")
    assert capsys.readouterr().err == "a\n"
