"""What differs between two outputs, as numbers; and the sentence that concludes it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Side:
    """One of the two outputs; the dates are None if it has no rows."""

    name: str
    rows: int
    symbols: int
    first: datetime.date | None
    last: datetime.date | None
    columns: int


@dataclass(frozen=True)
class RowCounts:
    """Rows that one output alone has.

    Attributes
    ----------
    new : int
        Rows of B after A's last date.
    history_came, history_went : int
        Of symbols that both have, until A's last date: rows of B alone, and rows of A alone. Rows of A after B's last
        date went, too.
    of_symbols_that_came, of_symbols_that_went : int
        Until A's last date.
    """

    new: int = 0
    history_came: int = 0
    history_went: int = 0
    of_symbols_that_came: int = 0
    of_symbols_that_went: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        mine, others = asdict(self), asdict(other)
        return RowCounts(**{name: mine[name] + others[name] for name in mine})


@dataclass(frozen=True)
class Change:
    """How a column changed in the rows that both outputs have.

    Attributes
    ----------
    column : str
    is_weekly : bool
        Whether it is one of the weekly columns, not of the input.
    rows : int
        With another value.
    came, went : int
        Those of them that have a value in B alone, or in A alone.
    first : datetime.date
        The earliest of them.
    symbol, date, a, b
        The one with the largest difference of two numbers, else the first one; a and b are the values there.
    """

    column: str
    is_weekly: bool
    rows: int
    came: int
    went: int
    first: datetime.date
    symbol: str
    date: datetime.date
    a: Any
    b: Any


@dataclass(frozen=True)
class SymbolChange:
    """How a symbol's history changed: the rows with another value or of one output alone, the first and the last.

    `close_factor` is what A's closes are multiplied by in all rows in which they differ, if it is one number, as after
    a split; else None.
    """

    symbol: str
    rows: int
    first: datetime.date
    last: datetime.date
    close_factor: float | None


@dataclass(frozen=True)
class Diff:
    """What differs.

    Attributes
    ----------
    a, b : Side
    rows : RowCounts
    changed_rows : int
        Rows that both have, with another value in some column.
    symbols_came, symbols_went : tuple of str
    symbols_changed : tuple of SymbolChange
        Symbols of both whose history changed, most rows first.
    columns_came, columns_went : tuple of str
    types : mapping of column to (type in A, type in B)
        Where they differ.
    not_compared : mapping of column to the reason
    changes : tuple of Change
        Columns that changed, weekly ones last.
    settings : mapping of setting to (value in A, value in B)
        Where they differ; None is the default. They are told, and make no difference by themselves.
    tolerance : float
    labels_known : int
        Values of labels that A lacks and B has: time has passed, and no history has changed.
    """

    a: Side
    b: Side
    rows: RowCounts
    changed_rows: int
    symbols_came: tuple[str, ...]
    symbols_went: tuple[str, ...]
    symbols_changed: tuple[SymbolChange, ...]
    columns_came: tuple[str, ...]
    columns_went: tuple[str, ...]
    types: Mapping[str, tuple[str, str]]
    not_compared: Mapping[str, str]
    changes: tuple[Change, ...]
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    tolerance: float = 0.0
    labels_known: int = 0

    @property
    def history_changed(self) -> bool:
        """Whether anything until A's last date differs: rows, values, symbols or columns."""
        came = self.rows.of_symbols_that_came
        columns = self.columns_came or self.columns_went or self.types
        return bool(self.symbols_changed or self.symbols_went or came or columns)

    @property
    def equal(self) -> bool:
        """Whether both have the same rows with the same columns, types and values."""
        return not (self.history_changed or self.rows.new or self.symbols_came or self.labels_known)

    @property
    def first_change(self) -> datetime.date | None:
        """The first date with changed history of a symbol that both have."""
        return min((one.first for one in self.symbols_changed), default=None)

    @property
    def conclusion(self) -> str:
        """What differs, in a sentence."""
        if self.equal:
            within = f" to {self.tolerance:g}" if self.tolerance else ""
            return f"equal{within}: {_count(self.a.rows, 'row')} of {_count(self.a.symbols, 'symbol')}"
        parts = [self._of_history()]
        if self.symbols_came:
            parts.append(f"{_count(len(self.symbols_came), 'symbol')} came")
        if self.symbols_went:
            parts.append(f"{_count(len(self.symbols_went), 'symbol')} went")
        columns = len(self.columns_came) + len(self.columns_went) + len(self.types)
        if columns:
            parts.append(f"{_count(columns, 'column')} came, went or {_verb(columns, 'has', 'have')} another type")
        if self.rows.new:
            parts.append(f"{_count(self.rows.new, 'row')} {_verb(self.rows.new, 'is', 'are')} new")
        if self.labels_known:
            parts.append(f"{_count(self.labels_known, 'label')} became known")
        return "; ".join(parts)

    def _of_history(self) -> str:
        if not self.symbols_changed:
            return "no history changed"
        weekly_alone = self.changes and all(one.is_weekly for one in self.changes)
        alone = ", in weekly columns alone" if weekly_alone and not self._rows_moved else ""
        symbols = _count(len(self.symbols_changed), "symbol")
        return f"history of {symbols} changed from {self.first_change} on{alone}"

    @property
    def _rows_moved(self) -> int:
        return self.rows.history_came + self.rows.history_went

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is written to JSON: dates as text in ISO 8601."""
        facts: dict[str, Any] = _plain(asdict(self))
        first = None if self.first_change is None else self.first_change.isoformat()
        told = {"equal": self.equal, "history_changed": self.history_changed, "first_change": first}
        return {"conclusion": self.conclusion, **told, **facts}


def _verb(count: int, one: str, more: str) -> str:
    return one if count == 1 else more


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
