"""A stand-in for `run_jobs` of bench/parts/running.py: the same commands, forked, one job after the other."""

from collections.abc import Callable, Iterable
from pathlib import Path

from helpers.launcher import ROOT, Forks


def forked_jobs(forks: Forks, folder: Path = ROOT) -> Callable:
    """folder: where they run, a checkout."""

    def run(
        jobs: dict[str, Iterable[tuple[Path, list[str]]]], workers: int, watch: Callable[[dict[str, Path], int], None]
    ) -> None:
        for done, (name, commands) in enumerate(jobs.items()):
            for log, command in commands:
                watch({name: log}, done)
                script = next(place for place, word in enumerate(command) if str(word).endswith(".py"))
                ended = forks.run(
                    int("deepspeed.launcher.runner" in command[:script]), *command[script:], folder=folder
                )
                assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
                log.parent.mkdir(parents=True, exist_ok=True)
                log.write_text(ended.stdout + ended.stderr)
        watch({}, len(jobs))

    return run
