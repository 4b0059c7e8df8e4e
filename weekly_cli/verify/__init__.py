"""Checks on demand that a finished table is correct: `weekly-cli verify`.

It reads the input and the table again and answers four questions, each in a separate module: are all `rows` there, is
there `lookahead`, do values equal those of the `reference` implementation, and how long is the `warmup`. All rows are
read once on each side; a random sample of symbols, drawn from a seed, is built again. Memory does not grow with the
number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import zip_longest
from typing import Any, TypedDict, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.columns import arrow_type
from weekly_cli.compute.features import VISIBLE_FROM, CrossFeature, Feature, columns_of_bars
from weekly_cli.compute.labels import Label
from weekly_cli.dataset.convert import Conversion, converted
from weekly_cli.dataset.each import in_threads
from weekly_cli.dataset.footers import Footers, read_footers
from weekly_cli.dataset.readings import as_plain_columns
from weekly_cli.dataset.scan import Scan, scan
from weekly_cli.dataset.schema import AS_THEY_ARE, is_text
from weekly_cli.dataset.selection import select_symbols
from weekly_cli.dataset.written import columns_left_out
from weekly_cli.errors import UsageError
from weekly_cli.files import discovery, parquet
from weekly_cli.files.locations import Location
from weekly_cli.names import KEY_ROLES, written_name
from weekly_cli.run import resources
from weekly_cli.run.manifest import fingerprint, read_record, recorded_settings
from weekly_cli.run.plugins import names_to_run
from weekly_cli.run.sectors import with_sectors
from weekly_cli.run.wanted import wanted_by
from weekly_cli.run.weeks import with_anchors
from weekly_cli.settings import SETTINGS, Config, from_python, resolve
from weekly_cli.verify.bars import check_bars
from weekly_cli.verify.conversion import check_conversion
from weekly_cli.verify.decoding import check_decoding
from weekly_cli.verify.joined import check_joined
from weekly_cli.verify.lookahead import check_lookahead, check_values
from weekly_cli.verify.order import check_input_order
from weekly_cli.verify.placed import check_placed
from weekly_cli.verify.proof import Check, Proof, checking, of_the_table
from weekly_cli.verify.rebuild import SampledSymbols, chosen, compared, features_by_name, needed_columns
from weekly_cli.verify.reference import check_reference
from weekly_cli.verify.rows import Rows, Sides, Tally, check_bytes, check_rows, tally
from weekly_cli.verify.warmup import measure

__all__ = ["Proof", "verify"]

N_DATES, N_SYMBOLS, SEED = 5, 20, 0
#: The checks of the sample that is built again.
_OF_THE_SAMPLE = ("values", "look-ahead", "reference", "warm-up")


class Moved(TypedDict, total=False):
    """Files beside the input that may have moved since a build."""

    sector_map: str | Location | None
    universe: str | Location | None


def verify(
    output: str | Location,
    input: str | Location | None = None,
    *,
    columns: Any = None,
    plugin: Sequence[str] = (),
    dates: int = N_DATES,
    symbols: int = N_SYMBOLS,
    seed: int = SEED,
    listener: Callable[[Check], None] = lambda _: None,
    **moved: Unpack[Moved],
) -> Proof:
    """Check a table that `build`, or some other program, has built from daily rows.

    Parameters
    ----------
    output : str or Location
        The table: a file, or a folder of parts.
    input : str or Location, optional
        The input from which it was built; the default is the one in the table's metadata.
    columns
        Roles of the input's columns, as in `build`; for tables whose metadata does not have them.
    plugin : sequence of str, optional
        The plugins with whose features it was built: its metadata alone make no code run.
    dates : int
        How many times the input is cut and built again.
    symbols : int
        How many symbols are built again.
    seed : int
        Seed of the random draws.
    listener : callable
        Called with each check when it is done.
    **moved
        The current paths of files with which the table was built: `sector_map`, `universe`.

    Returns
    -------
    Proof
        Its `passed` is true if no check has findings.

    Raises
    ------
    weekly_cli.errors.WeeklyError
        UsageError if the input is not known, InputRefused if it, or the complete table, can't be read.
    """
    files = [path for path, _ in discovery.find_inputs([str(output)], None).files]
    record, trouble = read_record(files)
    values = {"columns": columns} if record is None else recorded_settings(record)
    values |= {name: str(path) for name, path in moved.items() if path is not None}
    if record is not None:
        values["plugin"] = names_to_run(str(output), record, plugin)
    values["input"] = [str(input)] if input is not None else _recorded_input(str(output), values.get("input"))
    if record is None:
        values["on_bad_rows"] = "drop"
    given = {name: value._replace(name=SETTINGS[name].flag) for name, value in from_python(values).items()}
    config = resolve(given)
    run = _Verification(Proof(str(output), config.where), files, record, config, listener)
    return run.all(trouble, dates, symbols, seed)


def _recorded_input(output: str, paths: Sequence[str] | None) -> Sequence[str]:
    """Return the input that a table's metadata names, which must still exist."""
    if paths is None:
        raise UsageError(f"{output} does not say what it was made of; name it with --input")
    for path in paths:
        if not discovery.leads_somewhere(path):
            raise UsageError(f"{output} was made of {path}, which no longer exists; name its new location with --input")
    return paths


class _Verification:
    """Runs the checks in order; a finding that refutes the complete table ends them."""

    def __init__(
        self,
        proof: Proof,
        files: list[Location],
        record: Mapping[str, Any] | None,
        config: Config,
        listener: Callable[[Check], None],
    ) -> None:
        self.proof, self.files, self.record, self.config, self.listener = proof, files, record, config, listener
        self.wanted = wanted_by(config)
        self.threads = resources.probe().cpus

    def all(self, trouble: str | None, n_dates: int, n_symbols: int, seed: int) -> Proof:
        """Run all checks and return the proof."""
        with converted(self.config, None) as conversion:
            footers = read_footers(self.config, None, conversion)
            return self._all(footers, conversion, trouble, n_dates, n_symbols, seed)

    def _all(
        self, footers: Footers, conversion: Conversion, trouble: str | None, n_dates: int, n_symbols: int, seed: int
    ) -> Proof:
        with self._checking("bytes") as check:
            check_bytes(check, self.files, self.record is not None)
        input_scan = scan(footers, self.config, in_threads(self.threads), lambda _: None)
        sides = self._columns(input_scan, trouble)
        if sides is None:
            return self._not_checked("the table's columns could not be read", "rows", *_OF_THE_SAMPLE)
        codes = chosen(sides, n_symbols if self.record is not None else 0, seed)
        read = self._rows(sides, codes)
        why = self._without_sample(n_symbols, codes, read)
        if why or read is None:
            return self._not_checked(why, *_OF_THE_SAMPLE, *(["ranks"] if sides.wanted.crosses else []))
        if conversion.is_needed:
            with self._checking("conversion") as check:
                check_conversion(check, sides, conversion, codes, read[0].sampled())
        if self.config.join:
            with self._checking("joined") as check:
                check_joined(check, sides, read[1].sampled().in_order())
        sample, table_rows = self._sample(sides, codes, *read)
        rebuilt = None
        with self._checking("values") as check:
            rebuilt = check_values(check, sides, sample, table_rows)
        if rebuilt is None:
            self._not_checked("the sample could not be built again", "look-ahead")
        else:
            with self._checking("look-ahead") as check:
                check_lookahead(check, sides, sample, rebuilt, n_dates, seed)
        with self._checking("reference") as check:
            check_reference(check, sides, sample, table_rows)
        if sides.wanted.crosses:
            with self._checking("ranks") as check:
                check_placed(check, sides, sample, table_rows, n_dates, seed)
        if rebuilt is None:
            return self._not_checked("the sample could not be built again", "warm-up")
        with self._checking("warm-up") as check:
            self.proof.warm_up = measure(check, sample, rebuilt)
        return self.proof

    def _without_sample(self, n_symbols: int, codes: Ints, read: tuple[Tally, Tally, NDArray[np.bool_]] | None) -> str:
        """Return why no symbol can be built again; empty if some can."""
        if self.record is None:
            return "the table does not say how it was made"
        if read is None:
            return "the rows could not be read"
        if not n_symbols:
            return "no symbol was to be built again (--symbols 0)"
        of_input, of_table, same = read
        if not (len(codes) and of_input.sample and of_table.sample and of_table.rows):
            return "there are no rows"
        return "" if same[codes].any() else "no symbol of the sample has the input's rows in the table"

    def _not_checked(self, why: str, *names: str) -> Proof:
        """Add the checks that had nothing to check to the proof, with the reason."""
        for name in names:
            check = Check(name, not_checked=why)
            self.proof.checks.append(check)
            self.listener(check)
        return self.proof

    def _checking(self, name: str) -> AbstractContextManager[Check]:
        return checking(self.proof, name, self.listener)

    def _columns(self, input_scan: Scan, trouble: str | None) -> Sides | None:
        """Compare the table's columns, and its metadata, with what they should be."""
        with self._checking("columns") as check:
            check.findings += [trouble] if trouble is not None else []
            with of_the_table():
                schemas = [parquet.open_parquet(path).schema_arrow for path in self.files]
                table = read_footers(self._settings_of_table(input_scan, schemas[0]), None, required=KEY_ROLES)
            for path, schema in zip(self.files, schemas, strict=True):
                if self.record is not None and not schema.equals(schemas[0], check_metadata=True):
                    check.findings.append(f"{path}: its columns or metadata are not those of {self.files[0]}")
            shared = tuple(self._shared_columns(check, input_scan, schemas[0]))
            if self.record is None:
                check.did = (
                    f"{len(shared)} input columns of {len(schemas[0])}; it does not say how the others were made"
                )
            else:
                check.did = self._compare_with_record(check, input_scan, schemas[0])
            selected = select_symbols(input_scan, self.config)
            names = tuple(name for name in shared if name != input_scan.footers.schema.roles["symbol"])
            wanted = with_sectors(self.wanted, self.config, input_scan, selected, self.threads)
            wanted = with_anchors(wanted, self.config, input_scan, selected, self.threads)
            return Sides(self.config, wanted, input_scan, table, selected, names, self.record is not None)
        return None

    def _settings_of_table(self, input_scan: Scan, schema: pa.Schema) -> Config:
        """Return the settings to read the table with: the input's roles for the columns that the table has."""
        config = replace(
            self.config,
            input=(self.proof.table,),
            rows="daily",
            columns_out=(),
            price=None,
            sector_map=None,
            cross_section=(),
        )
        roles = input_scan.footers.schema.roles
        if self.config.rows == "weekly":
            config = replace(config, columns=(), timezone=None, date_format=None, date_unit="auto")
            keys = {"symbol": roles["symbol"], "date": VISIBLE_FROM.name}
            return as_plain_columns(config, replace(input_scan.footers.schema, dates=AS_THEY_ARE), keys)
        written = {role: name for role, name in roles.items() if name in schema.names}
        return as_plain_columns(config, input_scan.footers.schema, written)

    def _passed_on(self, input_scan: Scan) -> list[str]:
        """Return the input's columns that the table should have: none that was replaced by a computed one."""
        schema = input_scan.footers.schema
        left_out = (
            [] if self.record is None else columns_left_out(schema, self.config, self.wanted.written(self.config))
        )
        return [name for name in schema.arrow.names if name not in left_out]

    def _shared_columns(self, check: Check, input_scan: Scan, schema: pa.Schema) -> Iterator[str]:
        """Yield the input's columns that the table has with the same type; report the others."""
        for column in map(input_scan.footers.schema.arrow.field, self._passed_on(input_scan)):
            if column.name not in schema.names:
                check.findings.append(f"the table has no column {column.name}, which the input has")
                continue
            kind = schema.field(column.name).type
            same_text = self.record is None and is_text(kind) and is_text(column.type)
            if kind.equals(column.type) or same_text:
                yield column.name
            else:
                check.findings.append(f"{column.name} is {kind} in the table, {column.type} in the input")

    def _compare_with_record(self, check: Check, input_scan: Scan, schema: pa.Schema) -> str:
        """Compare a table's schema with its own build record; return a description of the record."""
        assert self.record is not None
        features = columns_of_bars(self.wanted.features) if self.config.rows == "weekly" else self.wanted.features
        added: tuple[Feature | Label, ...] = (*features, *self.wanted.labels)
        expected = [*self._passed_on(input_scan), *self.wanted.written(self.config)]
        if schema.names != expected:
            first_other = next((b for a, b in zip_longest(expected, schema.names) if a != b), None)
            check.findings.append(
                f"the columns are not the input's and then the features; the first other one: {first_other}"
            )
        for column in added:
            kind = arrow_type(column, self.config.dtype, self.config.date_type)
            name = written_name(column.name, self.config.prefix)
            if name in schema.names and not schema.field(name).type.equals(kind):
                check.findings.append(f"{name} is {schema.field(name).type} and should be {kind}")
        version = self.record.get("version")
        names = ", ".join(label.name for label in self.wanted.labels)
        labels = f", and what looks ahead by design: {names}" if names else ""
        facts = f"{len(expected):,} columns, {len(self.wanted.features)} of them features{labels}, "
        facts += f"of version {version}"
        current = fingerprint(input_scan.footers, self.config, self.wanted)
        if self.record.get("fingerprint") == current:
            return f"{facts} of this very input with these settings"
        if [one["sha256"] for one in self.record.get("plugins", ())] != [one.sha256 for one in self.wanted.plugins]:
            return f"{facts}; the plugin's content is another by now"
        return f"{facts}; the input's paths or sizes, or the tool's version, are others by now"

    def _rows(self, sides: Sides, codes: Ints) -> tuple[Tally, Tally, NDArray[np.bool_]] | None:
        """Read both sides and compare their rows; return the tallies, and which symbols are the same."""
        needed = needed_columns(sides.scan, self.config)
        names = list(dict.fromkeys([*sides.scan.footers.schema.key_columns, *sides.columns, *needed]))
        with self._checking("rows") as check:
            peers = np.array(compared(sides, codes).symbols, np.int64)
            of_input = tally(sides.scan.footers, sides, names, np.union1d(codes, peers), needed, self.threads)
            with of_the_table():
                of_table = tally(sides.table, sides, None, codes, None, self.threads)
            if self.config.rows == "weekly":
                same = check_bars(check, sides, of_table, self.threads)
            else:
                same = check_rows(check, sides, of_input, of_table)
                if self.config.order == "input" and not check.findings:
                    with of_the_table():
                        check_input_order(check, sides, self.threads)
            both = [("the input", sides.scan.footers), ("the table", sides.table)]
            columns = dict.fromkeys([sides.scan.footers.schema.roles["symbol"], *sides.columns, *needed])
            check_decoding(check, both, list(columns), self.threads)
            return of_input, of_table, same
        return None

    def _sample(
        self, sides: Sides, codes: Ints, of_input: Tally, of_table: Tally, same: NDArray[np.bool_]
    ) -> tuple[SampledSymbols, Rows]:
        """Return the sample without the symbols whose rows already differ, and its rows in the table."""
        codes = codes[same[codes]]
        rows, table_rows = of_input.sampled(), of_table.sampled().in_order()
        table_rows = replace(table_rows, table=features_by_name(table_rows.table, self.wanted.columns, self.config))
        there = (feature for feature in self.wanted.features if feature.name in table_rows.table.column_names)
        features = tuple(feature for feature in there if not isinstance(feature, CrossFeature))
        labels = tuple(label for label in self.wanted.labels if label.name in table_rows.table.column_names)
        sectors = sides.wanted.sector_map if self.config.sector_columns else None
        compares = compared(sides, codes)
        sample = SampledSymbols(self.config, sides.scan, codes, rows, compares, features, labels, sides.wanted, sectors)
        return sample, table_rows.where(np.isin(table_rows.codes, codes))
