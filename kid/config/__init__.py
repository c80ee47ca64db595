"""A run's configuration: `RunConfig`, recipes and flags, and the tables of methods and benchmarks."""

from kid.config.run_config import RunConfig

__all__ = ["RunConfig"]
