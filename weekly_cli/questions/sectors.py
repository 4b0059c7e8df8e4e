"""The sector map of an output that was built with one of its own columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.schema import SymbolCodes
from weekly_cli.dataset.source import Chunk
from weekly_cli.errors import InputRefused
from weekly_cli.questions.built import Built
from weekly_cli.run.sectors import sectors_of
from weekly_cli.settings import Config


def sectors_of_output(built: Built, config: Config, symbols: pa.Array, only: str | None = None) -> pa.Table | None:
    """Return the sector map that the columns of an output tell; None: it is a file, or there is none.

    With `only`, just this symbol's rows are read, of which `symbols` consists.

    Raises
    ------
    InputRefused
        If the output lacks a column, or a symbol has two values in it.
    """
    if not config.sector_columns:
        return None
    for name in config.sector_columns.values():
        if name not in built.schema.names:
            raise InputRefused(
                f"{built.name} lacks the column {name!r} of its --sector-map @{name}, which --columns-out has left out "
                "(latest takes such a map as a file, too, with --sector-map)"
            )
    columns = list(config.sector_columns.values())
    return sectors_of(lambda: chunks_of(built, symbols, columns, only), symbols, config, built.name)


def chunks_of(built: Built, symbols: pa.Array, columns: Sequence[str], only: str | None = None) -> Iterator[Chunk]:
    """Yield rows of symbols with some columns; with `only`, those of one symbol."""
    keys = [built.roles["symbol"], built.roles["date"]]
    codes_of = SymbolCodes(symbols)
    for table in built.row_groups(list(dict.fromkeys([*keys, *columns])), None if only is None else [only]):
        days = session_days(table.column(keys[1]), built.dates)[0]
        codes = codes_of(table.column(keys[0]))
        table = table.filter(pa.array(codes >= 0))
        yield Chunk(codes[codes >= 0], days[codes >= 0], table)
