"""Which column has which role: given, found by its name, or the only reading that makes sense."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import pyarrow as pa

from weekly_cli.dataset.schema import DatasetSchema, Derived, is_text
from weekly_cli.errors import InputRefused
from weekly_cli.names import (
    ALIASES,
    DATE_PARTS,
    FROM_FILE,
    FROM_FOLDER,
    REQUIRED_ROLES,
    ROLES,
    SECOND_ALIASES,
    did_you_mean,
    normal,
)
from weekly_cli.settings import Config


@dataclass(frozen=True)
class Files:
    """What files tell besides their columns.

    Attributes
    ----------
    paths : sequence of str
    own_columns : frozenset of str
        The columns that are in files, not in their paths.
    index : tuple of str
        The columns that pandas' metadata name as the index.
    """

    paths: Sequence[str]
    own_columns: frozenset[str]
    index: tuple[str, ...]


@dataclass
class Choice:
    """The chosen roles.

    Attributes
    ----------
    roles : mapping of role to column name
    added : list of pa.Field
        Columns that no file has.
    derived : mapping of column name to Derived
        How those of them are made that are made of other columns.
    file_symbols : tuple of (column name, mapping of path to symbol) or None
        The column whose values come from the files' names.
    notes : list of str
        What was decided.
    """

    roles: dict[str, str]
    added: list[pa.Field] = field(default_factory=list)
    derived: dict[str, Derived] = field(default_factory=dict)
    file_symbols: tuple[str, Mapping[str, str]] | None = None
    notes: list[str] = field(default_factory=list)


def choose_roles(schema: pa.Schema, config: Config, files: Files, required: Collection[str] = REQUIRED_ROLES) -> Choice:
    """Return the column of each role that the input has, and what it is made of if it is no column of the files.

    Raises
    ------
    InputRefused
        If a required role is missing, a role has two columns, or a column's type does not suit its role.
    """
    choice = Choice(dict(config.role_columns))
    _choose_date(choice, schema, files)
    if "close" in required:
        _choose_close(choice, schema)
    _choose_symbol(choice, schema, config, files)
    whole = pa.schema([*schema, *choice.added])
    choice.roles = find_roles(whole, choice.roles, config.where, config.named("columns"), required)
    return choice


def _named(schema: pa.Schema, role: str, taken: Iterable[str]) -> list[str]:
    """Return the columns that have the name of a role, in the first form of it that any has."""
    for aliases in (ALIASES[role], SECOND_ALIASES.get(role, ())):
        matches = [name for name in schema.names if normal(name) in aliases and name not in taken]
        if matches:
            return matches
    return []


def _parts(text: str, schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns of a text such as code+exchange; nothing if it is a column itself, or not of columns."""
    parts = tuple(text.split("+"))
    whole = text in schema.names or len(parts) < 2 or any(part not in schema.names for part in parts)
    return () if whole else parts


def _free(name: str, schema: pa.Schema, other: str) -> str:
    return name if name not in schema.names else other


# ---- date ------------------------------------------------------------------------------------------------


def _choose_date(choice: Choice, schema: pa.Schema, files: Files) -> None:
    given = choice.roles.get("date")
    parts = _date_parts(schema, choice) if given is None else _parts(given, schema)
    if len(parts) == len(DATE_PARTS):
        name = _free("date", schema, "+".join(parts))
        choice.roles["date"] = name
        choice.added.append(pa.field(name, pa.date32()))
        choice.derived[name] = Derived("date parts", parts)
        choice.notes.append(f"date: {', '.join(parts[:2])} and {parts[2]}")
    elif given is None and not _named(schema, "date", choice.roles.values()):
        dates = [
            column.name for column in schema if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)
        ]
        index = [name for name in files.index if name in dates]
        if len(index) == 1 or len(dates) == 1:
            choice.roles["date"] = (index if len(index) == 1 else dates)[0]
            what = "the pandas index" if len(index) == 1 else "the only column of dates"
            choice.notes.append(f"date: {choice.roles['date']}, {what}")


def _date_parts(schema: pa.Schema, choice: Choice) -> tuple[str, ...]:
    """Return the columns of year, month and day, if there is one of each and no other column is named as a date."""
    found = [[name for name in schema.names if normal(name) in names] for names in DATE_PARTS]
    if any(len(names) != 1 for names in found):
        return ()
    parts = tuple(names[0] for names in found)
    return () if set(_named(schema, "date", choice.roles.values())) - set(parts) else parts


# ---- close -----------------------------------------------------------------------------------------------


def _choose_close(choice: Choice, schema: pa.Schema) -> None:
    """Choose the only column of numbers if the input has neither a close nor other prices."""
    if "close" in choice.roles or _named(schema, "close", choice.roles.values()):
        return
    others = [name for role in ROLES for name in _named(schema, role, ())]
    numbers = [
        column.name
        for column in schema
        if (pa.types.is_floating(column.type) or pa.types.is_decimal(column.type))
        and column.name not in (*others, *choice.roles.values())
    ]
    has_prices = any(role in choice.roles or _named(schema, role, ()) for role in ("open", "high", "low"))
    if len(numbers) == 1 and not has_prices:
        choice.roles["close"] = numbers[0]
        choice.notes.append(f"close: {numbers[0]}, the only column of prices")


# ---- symbol ----------------------------------------------------------------------------------------------


def _choose_symbol(choice: Choice, schema: pa.Schema, config: Config, files: Files) -> None:
    given = choice.roles.get("symbol")
    found = [given] if given is not None else _named(schema, "symbol", choice.roles.values())
    if config.symbol is not None:
        if found:
            raise InputRefused(
                f"{config.where} has the column {found[0]!r} for symbol; leave out {config.named('symbol')}"
            )
        symbols = dict.fromkeys(files.paths, config.symbol)
        _take_file_symbols(choice, schema, symbols, f"symbol: {config.symbol} ({config.named('symbol')})")
    elif given in (FROM_FILE, FROM_FOLDER):
        _take_file_symbols(choice, schema, *_FROM[given](files.paths))
    elif given is not None and (parts := _parts(given, schema)):
        choice.roles["symbol"] = name = _free("symbol", schema, given)
        choice.added.append(pa.field(name, pa.string()))
        choice.derived[name] = Derived("joined", parts)
        choice.notes.append(f"symbol: {' and '.join(parts)}, with a colon between them")
    elif not found and len(level := [name for name in files.index if is_text(schema.field(name).type)]) == 1:
        choice.roles["symbol"] = level[0]
        choice.notes.append(f"symbol: {level[0]}, a level of the pandas index")
    elif not found and (source := _telling(choice, schema, files)):
        _take_file_symbols(choice, schema, *_FROM[source](files.paths))


def _take_file_symbols(choice: Choice, schema: pa.Schema, symbols: Mapping[str, str], note: str) -> None:
    choice.roles["symbol"] = name = _free("symbol", schema, "symbol_of_file")
    choice.added.append(pa.field(name, pa.string()))
    choice.file_symbols = name, symbols
    choice.notes.append(note)


#: What writers append to a name, and what tells the format.
_SUFFIXES = re.compile(r"\.(parquet|parq|pq|gz|gzip|zst|zstd|snappy|lz4|br|csv|tsv|txt)$", re.IGNORECASE)
_PART = re.compile(r"^(part|chunk|data|output|file)[-_.]?\d+([-_.]|$)|^part[-_.]|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}")
_A_DATE = r"(?:19|20|21)\d\d(?:[-_.]?(?:0[1-9]|1[0-2]|q[1-4])(?:[-_.]?[0-3]\d)?)?"
_DATE = re.compile(f"^{_A_DATE}$", re.IGNORECASE)
#: A name with a date behind or before it; before a dot stand the numbers of exchanges, as in 2018.HK.
_DATED = re.compile(f"^(?:(.+)[-_. ]{_A_DATE}|{_A_DATE}[-_ ](.+))$", re.IGNORECASE)


def symbol_of_file(path: str) -> str:
    """Return a file's name without suffixes.

    >>> symbol_of_file("daily/BRK.B.parquet.gzip")
    'BRK.B'
    """
    name = PurePath(path).name
    while len(shorter := _SUFFIXES.sub("", name)) not in (0, len(name)):
        name = shorter
    return name


def _folder(path: str) -> str:
    return PurePath(path).parent.name.rpartition("=")[2]


def _from_files(paths: Sequence[str]) -> tuple[dict[str, str], str]:
    symbols = {path: symbol_of_file(path) for path in paths}
    first = symbols[paths[0]]
    return symbols, f"symbol: the file's name, {first}" if len(paths) == 1 else f"symbol: each file's name ({first}, …)"


def _from_folders(paths: Sequence[str]) -> tuple[dict[str, str], str]:
    symbols = {path: _folder(path) for path in paths}
    return symbols, f"symbol: the name of each file's folder ({symbols[paths[0]]}, …)"


def _from_dated_files(paths: Sequence[str]) -> tuple[dict[str, str], str]:
    symbols = {path: _undated(symbol_of_file(path)) for path in paths}
    return symbols, f"symbol: each file's name without its date ({symbols[paths[0]]}, …)"


def _undated(name: str) -> str:
    """Return a name without the date that its file is of.

    >>> _undated("AAPL_2023-Q1"), _undated("2023 AAPL"), _undated("2018.HK")
    ('AAPL', 'AAPL', '2018.HK')
    """
    dated = _DATED.match(name)
    return name if dated is None else dated[1] or dated[2]


_DATED_FILES = "dated files"
_FROM = {FROM_FILE: _from_files, FROM_FOLDER: _from_folders, _DATED_FILES: _from_dated_files}


def _telling(choice: Choice, schema: pa.Schema, files: Files) -> str | None:
    """Return whether the names of files or of their folders are the symbols; None if neither reading is the only one.

    A text column in the files could be the symbol, too.
    """
    roles = set(choice.roles.values()) | {name for role in ROLES for name in _named(schema, role, ())}
    texts = [name for name in files.own_columns - roles if is_text(schema.field(name).type)]
    if texts or not files.paths:
        return None
    names = [symbol_of_file(path) for path in files.paths]
    folders = [_folder(path) for path in files.paths]
    names_tell = not all(map(_DATE.match, names)) and not _are_parts(names)
    folders_tell = len(set(folders)) > 1 and not all(map(_DATE.match, folders))
    undated = set(map(_undated, names))
    if len(set(names)) == len(names):
        if names_tell and len(undated) < len(names):  # a file a year, or the like
            return None if folders_tell else _DATED_FILES
        return FROM_FILE if names_tell else None
    if names_tell and all(map(_DATE.match, folders)):
        return FROM_FILE
    return FROM_FOLDER if not names_tell or len(undated) == 1 else None


def _are_parts(names: Sequence[str]) -> bool:
    """Tell whether a writer has numbered its files; numbers with gaps are the codes of an exchange."""
    if all(name.isdecimal() for name in names):
        numbers = sorted(map(int, names))
        return numbers in ([*range(len(names))], [*range(1, len(names) + 1)])
    return all(map(_PART.search, map(str.lower, names)))


# ---- roles by name ---------------------------------------------------------------------------------------


def find_roles(
    schema: pa.Schema,
    given: Mapping[str, str],
    where: str,
    setting: str = "--columns",
    required: Collection[str] = REQUIRED_ROLES,
) -> dict[str, str]:
    """Return the column of each role that the input has.

    Parameters
    ----------
    schema : pa.Schema
    given : mapping of role to column name
        The value of `--columns`; the other roles are found by their aliases, ignoring case.
    where : str
        The input, for error messages.
    setting : str
        Where `given` came from, for error messages.
    required : collection of str
        The roles without which a table is refused.

    Raises
    ------
    InputRefused
        If a required role is missing, a role has two columns, or a column's type does not suit its role.
    """
    roles: dict[str, str] = {}
    for role in ROLES:
        if role in given:
            if given[role] not in schema.names:
                raise InputRefused(
                    f"{where} has no column {given[role]!r} for {setting} {role}=...; it has {', '.join(schema.names)}"
                    f"{did_you_mean(given[role], schema.names)}"
                )
            roles[role] = given[role]
            continue
        matches = _named(schema, role, given.values())
        if len(matches) > 1:
            raise InputRefused(
                f"{where} has more than one column for {role}: {', '.join(matches)}; choose with --columns {role}=NAME"
            )
        if matches:
            roles[role] = matches[0]
        elif role in required:
            raise InputRefused(
                f"{where} has no column for {role} among {', '.join(schema.names) or 'none at all'}; "
                f"name it with --columns {role}=NAME{_OTHER_WAYS.get(role, '')}"
            )
    for role, name in roles.items():
        check_type(role, name, schema.field(name).type, where)
    return roles


_OTHER_WAYS = {
    "symbol": ", or pass --symbol AAA if all rows have the same, or "
    f"--columns symbol={FROM_FILE} if each file is named after its own"
}


def check_type(role: str, name: str, kind: pa.DataType, where: str) -> None:
    """Raise InputRefused if a column of this type can't have this role."""
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if role == "symbol":
        suits, takes = is_text(kind) or pa.types.is_integer(values), "text or integers"
    elif role == "date":
        number = pa.types.is_integer(values) or pa.types.is_floating(values)
        suits = pa.types.is_date(values) or pa.types.is_timestamp(values) or is_text(kind) or number
        takes = "dates, timestamps, text or numbers"
    else:
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        suits, takes = number or pa.types.is_null(kind), "numbers"
    if not suits:
        raise InputRefused(
            f"column {name!r} of {where} is {kind}, but {role} takes {takes}; "
            f"convert it, or choose another with --columns {role}=NAME"
        )


# ---- adjusted close --------------------------------------------------------------------------------------

#: Names of adjusted closes, in the form in which aliases are compared.
_ADJUSTED_NAMES = frozenset(
    {
        *("adj_close", "adjclose", "adjusted_close", "adjustedclose", "close_adj", "close_adjusted", "closeadj"),
        *("adjusted", "adj", "adj_price", "adjusted_price", "px_adj", "px_last_adj", "adj_close_price", "adj_closing"),
    }
)


def adjusted_column(schema: DatasetSchema, config: Config) -> str | None:
    """Return the column with an adjusted close that no role and no `--price` uses; None: there is none."""
    if config.price is not None:
        return None
    for column in schema.arrow:
        number = (
            pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)
        )
        if number and column.name not in schema.roles.values() and normal(column.name) in _ADJUSTED_NAMES:
            return str(column.name)
    return None
