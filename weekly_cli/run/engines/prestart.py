"""The pool that starts before everything else: its workers import libraries while this process does.

Both need a third of a second for numpy and Arrow. Whether a pool is needed depends on the number of rows, which is
unknown until Arrow has been imported and reads the footers; but the size of the files shows where there are enough.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weekly_cli.run import resources

if TYPE_CHECKING:
    from weekly_cli.run.engines.pool import Pool
    from weekly_cli.settings import Config

#: Files of this size contain a million rows of prices or more.
_ENOUGH_BYTES = 64 * 2**20
#: With this much memory per worker, every plan lets all workers run.
_PLENTY_BYTES = 2**30
#: So many symbols of twenty years are what one process does without a pool.
_FEW_SYMBOLS = 50


def pool_ahead(config: Config) -> Pool | None:
    """Return a pool with as many workers as cores, if it is certain that the plan will need it."""
    if (
        config.engine != "loky"
        or config.strategy == "direct"
        or config.memory_limit is not None
        or takes_few_symbols(config)
    ):
        return None
    if sum(map(_bytes, config.input)) < _ENOUGH_BYTES:
        return None
    available = resources.probe()
    workers = min(resources.requested_workers(config.jobs, available.cpus), available.cpus)
    if available.memory_bytes < workers * _PLENTY_BYTES:
        return None
    from weekly_cli.run.engines.pool import Pool

    return Pool(workers, int(available.memory_share * available.memory_bytes), config.task_timeout)


def takes_few_symbols(config: Config) -> bool:
    """Tell whether so few symbols are asked for that one process may do, however many rows the input has."""
    few = config.symbols is not None and len(config.symbols) <= _FEW_SYMBOLS
    return few or (config.max_symbols is not None and config.max_symbols <= _FEW_SYMBOLS)


def _bytes(name: str) -> int:
    """Return the size of a file, or of the files in a folder; 0 for what is neither."""
    try:
        path = Path(name)
        files = path.iterdir() if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except (OSError, ValueError, RuntimeError):
        return 0  # the pipeline will report what is wrong with it
