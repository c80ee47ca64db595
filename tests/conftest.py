"""What the tests share: minibench, tiny models on it, the real data where KID_DATA says they are, and the launcher."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.launcher import FORKS, HIDDEN, ROOT, launch_command
from xdist.scheduler import LoadFileScheduling

os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports triton
os.environ["PYTHONPATH"] = os.pathsep.join([HIDDEN, *filter(None, [os.environ.get("PYTHONPATH")])])


class ByFile(LoadFileScheduling):
    """A file's tests stay in one process and share its fixtures; all launches of several ranks stay in one, for ranks
    of two side by side would wait for each other by spinning on the same cores."""

    def _split_scope(self, nodeid: str) -> str:
        return "launches" if "distributed/" in nodeid else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Launches come first: those of several ranks are one process's work from the beginning of `make test-all`."""
    for item in items:
        if "distributed/" in item.nodeid:
            item.add_marker("launch")
    items.sort(key=lambda item: ("distributed/" not in item.nodeid, not item.get_closest_marker("launch")))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Path:
    """A cache of the tests' own, shared by all of them; the processes they start have it too."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["KID_CACHE"] = str(folder)
    return folder


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of all test processes makes and the others use."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, partial = shared / name, shared / f"{name}.partial"
    with FileLock(shared / f"{name}.lock"):
        if not folder.exists():
            make(partial)
            partial.rename(folder)
    return folder


@pytest.fixture(scope="session")
def minibench(tmp_path_factory) -> Path:
    """Minibench, in a folder called data; read-only, since all test processes share it."""
    from kid.minibench.build import build_minibench

    return made_once(tmp_path_factory, "minibench", lambda folder: build_minibench(folder / "data", seed=0)) / "data"


@pytest.fixture(scope="session")
def tiny_models(minibench, tmp_path_factory) -> Path:
    """A folder with `student`, `teacher`, and `stranger`, a model with another tokenizer; read-only, as above."""
    return made_once(tmp_path_factory, "models", lambda folder: write_tiny_models(folder, minibench))


def write_tiny_models(folder: Path, minibench: Path) -> None:
    from kid.minibench.tiny_models import benchmark_texts, train_tokenizer, write_tiny_model

    texts = benchmark_texts("spider", "train", minibench)
    tokenizer = train_tokenizer(texts, 600)
    write_tiny_model(folder / "student", tokenizer, hidden=32, layers=2, heads=2, seed=0)
    write_tiny_model(folder / "teacher", tokenizer, hidden=48, layers=2, heads=2, seed=1)
    write_tiny_model(folder / "stranger", train_tokenizer(texts, 500), hidden=32, layers=1, heads=2, seed=2)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the published benchmarks and, beside them, reference predictions with their verdicts."""
    folder = os.environ.get("KID_DATA")
    if not folder or not (Path(folder) / "spider").is_dir():
        pytest.skip("KID_DATA does not name a folder with spider/ and eval_reference/")
    return Path(folder)


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory):
    """A process group of this process alone: a step adds up its sums, and the lengths of outputs, over all ranks."""
    import torch

    store = torch.distributed.FileStore(str(tmp_path_factory.mktemp("store") / "file"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="session", autouse=True)
def forks(tmp_path_factory):
    """Runs scripts, on ranks or not, without the time that imports take."""
    FORKS.folder = tmp_path_factory.mktemp("forks")
    yield FORKS
    FORKS.end()


@pytest.fixture(scope="session")
def launch(forks):
    """launch(ranks, script, *flags) -> the finished process, its output as text.

    `fresh` ranks are started by DeepSpeed's launcher, each as a process of its own from the beginning.
    """

    def run(number: int, *arguments: str | Path, fresh: bool = False) -> subprocess.CompletedProcess:
        if not fresh:
            return forks.run(number, *arguments)
        return subprocess.run(
            launch_command(number, *arguments),
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    return run
