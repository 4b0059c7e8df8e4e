"""Hostile input, made when it is asked for: damaged and strange Parquet files.

`files()` returns the whole corpus; `Hostile.expected` says what is to come of each. The symbols are in `odd_symbols`.
"""

from __future__ import annotations

import functools
import io
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from frames import daily

from weekly_cli.files import thrift
from weekly_cli.files.thrift import BINARY, I16, I32, I64, LIST, STRUCT, Field, Items, Struct

#: What is to come of an input: a refusal, the rows as Arrow itself reads them, or one of the two. None may end the
#: process that looks at it, nor a worker.
Expected = Literal["refused", "rows", "either"]


@dataclass(frozen=True)
class Hostile:
    """An input: its files by their paths in the input's folder, and what is to come of it."""

    files: Mapping[str, bytes]
    expected: Expected

    def write(self, folder: Path) -> Path:
        """Write the files below a folder."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder


# ---- files that are whole --------------------------------------------------------------------------------


def prices(order: str = "symbol", n_days: int = 30) -> pa.Table:
    """Rows of three symbols, with a few input columns beside the prices.

    In symbol order none of them is nested, so that the pages of a row group may be taken over as they are.
    """
    table = daily(["AAA", "BBB", "CCC"], n_days, order=order)
    rows = range(table.num_rows)
    table = table.append_column("venue", pa.array(["XNYS", "XLON", "XTSE"] * n_days))
    table = table.append_column("note", pa.array([None if row % 7 == 3 else f"note {row}" for row in rows]))
    if order == "symbol":
        return table
    return table.append_column("tags", pa.array([[row] * (row % 3) for row in rows]))


def parquet(table: pa.Table, **options: Any) -> bytes:
    """The bytes of a file, of a row group a symbol where it is clustered."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"compression": "zstd", "row_group_size": 30, **options})
    return sink.getvalue()


def footer_begin(data: bytes) -> int:
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


#: The ways in which the files that are damaged below were written.
WRITERS: dict[str, dict[str, Any]] = {
    "checksums": {"write_page_checksum": True},
    "plain": {},
    "uncompressed": {"compression": "none"},
    "v2": {"compression": "snappy", "data_page_version": "2.0", "write_page_checksum": True},
    "encodings": {
        "write_page_index": True,
        "use_dictionary": ["symbol"],
        "column_encoding": {
            "close": "BYTE_STREAM_SPLIT",
            "volume": "DELTA_BINARY_PACKED",
            "note": "DELTA_BYTE_ARRAY",
            "venue": "DELTA_LENGTH_BYTE_ARRAY",
        },
    },
}


# ---- damage ----------------------------------------------------------------------------------------------


def places(data: bytes) -> dict[str, int]:
    """Where a file's structures begin and end, by name."""
    footer = footer_begin(data)
    found = {
        "magic": 2,
        "footer start": footer,
        "footer middle": (footer + len(data)) // 2,
        "length word": len(data) - 6,
        "end magic": len(data) - 2,
    }
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    for group in range(metadata.num_row_groups):
        for column in (0, 1, 5, 8):
            chunk = metadata.row_group(group).column(column)
            begin = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            name = f"{chunk.path_in_schema} {group}"
            found[f"{name} header"] = begin + 3
            found[f"{name} body"] = (chunk.data_page_offset + begin + chunk.total_compressed_size) // 2
            found[f"{name} end"] = begin + chunk.total_compressed_size
    return found


def truncated() -> Iterator[tuple[str, Hostile]]:
    """Files that end at each structure, without their end, and with their footer behind the gap."""
    data = parquet(prices())
    for place, at in places(data).items():
        yield f"cut at {place}", Hostile({"bad.parquet": data[:at]}, "refused")
        if at < footer_begin(data):
            yield f"gap at {place}", Hostile({"bad.parquet": data[:at] + data[footer_begin(data) :]}, "refused")


def flipped() -> Iterator[tuple[str, Hostile]]:
    """Bytes of every kind of file changed: in the footer one here and there, in page headers and bodies."""
    rng = random.Random(20)
    for order in ("symbol", "date"):
        for writer, options in WRITERS.items():
            data = parquet(prices(order), **options)
            footer = footer_begin(data)
            for part, begin, end, count in (("footer", footer, len(data), 14), ("pages", 4, footer, 8)):
                for number in range(count):
                    changed = bytearray(data)
                    at = rng.randrange(begin, end)
                    changed[at] ^= 1 << rng.randrange(8) if number % 2 else rng.randrange(1, 256)
                    if changed != data:
                        yield f"flip {order} {writer} {part} {at}", Hostile({"bad.parquet": bytes(changed)}, "either")


def page_bodies() -> Iterator[tuple[str, Hostile]]:
    """A bit of each column's page body, under a checksum: it must be found on every way to the output."""
    for order in ("symbol", "date"):
        data = parquet(prices(order), **WRITERS["checksums"])
        metadata = pq.ParquetFile(io.BytesIO(data)).metadata
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(1).column(column)
            changed = bytearray(data)
            begin = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            changed[begin + chunk.total_compressed_size - 1] ^= 4
            yield f"body {order} {chunk.path_in_schema}", Hostile({"bad.parquet": bytes(changed)}, "refused")


def wild_codes() -> Iterator[tuple[str, Hostile]]:
    """Pages that look a fourth word up in a dictionary of three; nothing but the look itself can find that."""
    for order in ("symbol", "date"):
        data = parquet(prices(order), **WRITERS["uncompressed"], write_batch_size=30)
        metadata = pq.ParquetFile(io.BytesIO(data)).metadata
        for group in range(3):
            for column in (0, 7) if order == "date" else (7,):
                chunk = metadata.row_group(group).column(column)
                damaged = bytearray(data)
                damaged[chunk.dictionary_page_offset + chunk.total_compressed_size - 2] = 0xFF
                yield f"codes {order} {group} {column}", Hostile({"bad.parquet": bytes(damaged)}, "refused")


# ---- footers, field by field -----------------------------------------------------------------------------

Path_ = tuple[int, ...]


def edited(data: bytes, change: Callable[[Struct], None]) -> bytes:
    """A file whose footer has been changed, its length word as it must be then."""
    begin = footer_begin(data)
    footer = thrift.decode(data, begin)[0]
    change(footer)
    encoded = thrift.encode(footer)
    return data[:begin] + encoded + len(encoded).to_bytes(4, "little") + b"PAR1"


def field_paths(fields: Struct, above: Path_ = ()) -> Iterator[tuple[Path_, int]]:
    """Where a footer's fields are, by numbers and positions in lists, and their types; of lists the second member."""
    for number, (kind, value) in fields.items():
        here = (*above, number)
        yield here, kind
        if kind == STRUCT:
            yield from field_paths(value, here)
        elif kind == LIST and len(value.values) > 1 and value.kind == STRUCT:
            yield from field_paths(value.values[1], (*here, 1))


def at(fields: Struct, path: Path_) -> Struct:
    """The struct that has the last field of a path."""
    for number in path[:-1]:
        found: Any = fields[number]
        fields = found.value if isinstance(found, Field) else found
        fields = fields.values if isinstance(fields, Items) else fields  # type: ignore[assignment]
    return fields


def put(fields: Struct, path: Path_, value: int) -> None:
    """Set the integer at a path."""
    there = at(fields, path)
    there[path[-1]] = Field(there[path[-1]].kind, value)


#: Of the footer: its rows; of the second row group its rows and of its second column values, bytes and offset.
GROUP = (4, 1)
CHUNK = (*GROUP, 1, 1, 3)
COUNTED = {(3,), (*GROUP, 3), (*CHUNK, 5), (*CHUNK, 7), (*CHUNK, 9)}
ABSURD = (-1, 0, 1, 29, 31, 2**31 - 1, 2**31, 2**62, -(2**62))


def footer_fields() -> Iterator[tuple[str, Hostile]]:
    """Each integer of a footer with absurd values; where a count or a place is wrong, the file must be refused."""
    for writer in ("checksums", "encodings"):
        data = parquet(prices(), **WRITERS[writer])
        paths = field_paths(thrift.decode(data, footer_begin(data))[0])
        for path in [path for path, kind in paths if kind in (I16, I32, I64)]:
            values = ABSURD if path in COUNTED else (ABSURD[len(path) % 3], ABSURD[5 + sum(path) % 4])
            for value in values:
                changed = edited(data, lambda footer, path=path, value=value: put(footer, path, value))  # type: ignore[misc]
                name = f"field {writer} {'.'.join(map(str, path))} {value}"
                sound = changed == data or path not in COUNTED
                yield name, Hostile({"bad.parquet": changed}, "either" if sound else "refused")


def contradictions() -> Iterator[tuple[str, Hostile]]:
    """Footers that contradict their own schema, at which Arrow's account of a column chunk ends the process."""
    data = parquet(prices("date"))

    def column(number: int, change: Callable[[Struct], None]) -> bytes:
        return edited(data, lambda footer: change(footer[4].value.values[1][1].value.values[number][3].value))

    def longer(sizes: Struct, number: int) -> None:
        sizes[number] = Field(LIST, Items(I64, [*sizes[number].value.values, 0]))

    levels = {name: column(9, lambda chunk, n=n: longer(chunk[16].value, n)) for name, n in LEVELS.items()}  # type: ignore[misc]
    flat = column(6, lambda chunk: longer(chunk[16].value, LEVELS["definition"]))
    counted = column(6, lambda chunk: chunk.update({16: Field(STRUCT, {1: Field(I64, 7), **chunk[16].value})}))
    for name, made in (levels | {"definition, flat": flat, "bytes of a number": counted}).items():
        yield f"contradiction: {name}", Hostile({"bad.parquet": made}, "refused")
    for number in (3, 5, 6):
        for extreme in (1, 2, 5, 6):
            short = column(
                number,
                lambda chunk, n=extreme: chunk[12].value.update({n: Field(BINARY, b"abc")}),  # type: ignore[misc]
            )
            yield f"contradiction: extreme {extreme} of {number}", Hostile({"bad.parquet": short}, "either")
    for change in ("fewer", "more"):
        yield f"contradiction: {change} columns", Hostile({"bad.parquet": edited(data, COLUMNS[change])}, "refused")


def _columns(change: Callable[[list[Struct]], list[Struct]]) -> Callable[[Struct], None]:
    def changed(footer: Struct) -> None:
        group = footer[4].value.values[1]
        group[1] = Field(LIST, Items(STRUCT, change(list(group[1].value.values))))

    return changed


LEVELS = {"repetition": 2, "definition": 3}
COLUMNS = {
    "fewer": _columns(lambda columns: columns[:-1]),
    "more": _columns(lambda columns: [*columns, columns[-1]]),
}


def missing_fields() -> Iterator[tuple[str, Hostile]]:
    """Footers without one of their fields, or with one of another type on the wire."""
    data = parquet(prices())
    for path, _ in field_paths(thrift.decode(data, footer_begin(data))[0]):
        for what, other in {"no": None, "an odd": Field(BINARY, b"odd")}.items():
            changed = edited(data, lambda footer, path=path, other=other: put_field(footer, path, other))  # type: ignore[misc]
            name = f"missing: {what} footer field {'.'.join(map(str, path))}"
            yield name, Hostile({"bad.parquet": changed}, "either")


def put_field(fields: Struct, path: Path_, field: Field | None) -> None:
    """Set the field at a path, or take it away."""
    there = at(fields, path)
    if field is None:
        del there[path[-1]]
    else:
        there[path[-1]] = field


# ---- values that lie -------------------------------------------------------------------------------------


def statistics() -> Iterator[tuple[str, Hostile]]:
    """Statistics that are not those of the values: the rows come out, or the file is refused."""
    for order in ("symbol", "date"):
        volumes = pa.array(np.arange(90) + 0x4142434445)
        data = parquet(prices(order).set_column(6, "volume", volumes))
        for group in range(3):
            for row, new in ((group * 30, 7), (group * 30 + 29, 8)):
                old = (0x4142434445 + row).to_bytes(8, "little")
                changed = in_footer(data, old, new.to_bytes(8, "little"))
                yield f"statistics {order} {group} {new}", Hostile({"bad.parquet": changed}, "either")
        small = data if order == "symbol" else parquet(prices(order).set_column(6, "volume", pa.array(np.arange(90))))
        wide = in_footer(small, b"XTSE", b"XAAA")
        yield f"statistics {order} text", Hostile({"bad.parquet": wide}, "rows")
    volumes = pa.array([2**40 if row == 50 else row + 100 for row in range(90)])
    data = parquet(prices("date").set_column(6, "volume", volumes))
    lying = in_footer(data, (2**40).to_bytes(8, "little"), (200).to_bytes(8, "little"))
    yield "statistics too narrow", Hostile({"bad.parquet": lying}, "either")


def in_footer(data: bytes, old: bytes, new: bytes) -> bytes:
    """A file in whose footer some bytes are others of the same number."""
    begin = footer_begin(data)
    assert old in data[begin:] and len(old) == len(new)
    return data[:begin] + data[begin:].replace(old, new)


# ---- no Parquet ------------------------------------------------------------------------------------------


def codec_changed(data: bytes, codec: int) -> bytes:
    return edited(data, lambda footer: put(footer, (*CHUNK, 4), codec))


def no_parquet() -> Iterator[tuple[str, Hostile]]:
    """What is not a Parquet file, or none that Arrow can read."""
    data = parquet(prices())
    contents = {
        "empty": b"",
        "text": b"symbol,date,close\n" * 50,
        "magic only": b"PAR1",
        "two magics": b"PAR1PAR1",
        "no footer": b"PAR1" + bytes(4) + b"PAR1",
        "zeros": bytes(len(data)),
        "other magic": data[:-4] + b"PAR2",
        "encrypted": data[:-4] + b"PARE",
        "length of all": data[:-8] + (len(data) - 8).to_bytes(4, "little") + b"PAR1",
        "length beyond": data[:-8] + (2**31).to_bytes(4, "little") + b"PAR1",
        "length of nothing": data[:-8] + bytes(4) + b"PAR1",
        "arrow": b"ARROW1\0\0" + bytes(64),
        "gzip": b"\x1f\x8b\x08" + bytes(64),
        "unknown codec": codec_changed(data, 99),
        "codec LZO": codec_changed(data, 3),
        "another codec": codec_changed(data, 1),
    }
    for name, content in contents.items():
        yield f"no Parquet: {name}", Hostile({"bad.parquet": content}, "refused")


# ---- strange tables --------------------------------------------------------------------------------------


def changed(name: str, column: Any, **options: Any) -> bytes:
    """A file with another column in a role, or with one more."""
    table = prices()
    made = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)
    place = table.schema.get_field_index(name)
    table = table.append_column(name, made) if place < 0 else table.set_column(place, name, made)
    return parquet(table, **options)


def bad_text() -> pa.Array:
    """Text that is no UTF-8, as bytes may pretend."""
    raw = [b"caf\xe9", b"\xed\xa0\x80", b"\xff\xfe"] * 30
    return pa.array(raw, pa.binary()).view(pa.string())


def instants(unit: str, ends: tuple[int, int]) -> pa.Array:
    """Days one after the other, in which two are moments at the ends."""
    counts = prices()["date"].combine_chunks().cast(pa.timestamp(unit)).view(pa.int64()).to_pylist()
    counts[0], counts[-1] = ends
    return pa.array(counts, pa.int64()).view(pa.timestamp(unit))


def roles() -> Iterator[tuple[str, Hostile]]:
    """Columns of strange types and values in the roles."""
    table = prices()
    rows = table.num_rows
    date, close = table["date"].combine_chunks(), table["close"].combine_chunks()
    lists = pa.array([[1.0]] * rows)
    good: dict[str, tuple[str, Any]] = {
        "text dates": ("date", date.cast(pa.string())),
        "date64": ("date", date.cast(pa.date64())),
        "zoned": ("date", date.cast(pa.timestamp("us")).cast(pa.timestamp("us", "Asia/Tehran"))),
        "nanoseconds": ("date", date.cast(pa.timestamp("ns"))),
        "dictionary symbols": ("symbol", table["symbol"].combine_chunks().dictionary_encode()),
        "decimal prices": (
            "close",
            pa.array([f"{value:.2f}" for value in close.to_pylist()]).cast(pa.decimal128(20, 2)),
        ),
        "half prices": ("close", close.cast(pa.float16())),
        "integer prices": ("close", pa.array(range(rows))),
        "prices of infinity": ("high", [float("inf"), float("-inf"), 1.0] * 30),
        "negative prices": ("low", [-1.0, -0.0, 0.0] * 30),
        "denormal prices": ("close", [5e-324, 2.2e-308, 1.7e308] * 30),
        "largest volume": ("volume", pa.array([2**64 - 1] * rows, pa.uint64())),
        "volume that overflows": ("volume", pa.array([2**63 - 1] * rows, pa.int64())),
        "negative volume": ("volume", [-(2**63), -1, 0] * 30),
        "float volume": ("volume", [1e308, float("nan"), 0.5] * 30),
        "ends of seconds": ("date", instants("s", (-62135596800, 253402300799))),
        "ends of milliseconds": ("date", instants("ms", (-62135596800000, 253402300799999))),
        "ends of microseconds": ("date", instants("us", (-62135596800000000, 253402300799999999))),
        "ends of nanoseconds": ("date", instants("ns", (-(2**63) + 1, 2**63 - 1))),
        "first and last day": (
            "date",
            pa.array([-719162, *date.view(pa.int32()).to_pylist()[1:-1], 2932896]).cast(pa.int32()).view(pa.date32()),
        ),
    }
    wrong: dict[str, tuple[str, Any]] = {
        "boolean volume": ("volume", [True] * rows),
        "prices of NaN": ("close", [float("nan")] * rows),
        "no prices at all": ("close", pa.nulls(rows)),
        "duration volume": ("volume", pa.array([1] * rows, pa.duration("s"))),
        "text prices": ("close", ["1.0"] * rows),
        "list prices": ("close", lists),
        "struct prices": ("close", [{"a": 1.0}] * rows),
        "binary symbols": ("symbol", [b"AAA"] * rows),
        "float symbols": ("symbol", [1.5] * rows),
        "list symbols": ("symbol", lists),
        "map symbols": ("symbol", pa.array([[("a", 1)]] * rows, pa.map_(pa.string(), pa.int64()))),
        "symbols that are no text": ("symbol", bad_text()),
        "some symbols that are no text": ("symbol", pa.concat_arrays([pa.array(["AAA"] * 87), bad_text()[:3]])),
        "null symbols": ("symbol", pa.nulls(rows, pa.string())),
        "no symbols at all": ("symbol", pa.nulls(rows)),
        "integer dates": ("date", [20240101] * rows),
        "time dates": ("date", pa.array([1] * rows, pa.time32("s"))),
        "list dates": ("date", lists),
        "text that is no date": ("date", ["2024-13-01"] * rows),
        "dates that are no text": ("date", bad_text()),
        "no dates at all": ("date", pa.nulls(rows, pa.date32())),
        "days beyond the calendar": (
            "date",
            pa.array([2**31 - 1, -(2**31), *range(rows - 2)], pa.int32()).view(pa.date32()),
        ),
        "seconds beyond the calendar": ("date", instants("s", (-(2**50), 2**50))),
        "milliseconds beyond the calendar": ("date", instants("ms", (-(2**62), 2**62))),
        "microseconds beyond the calendar": ("date", instants("us", (-(2**63) + 1, 2**62))),
        "the same day": ("date", pa.array([19000] * rows, pa.int32()).view(pa.date32())),
    }
    for name, (role, column) in good.items():
        yield f"role: {name}", Hostile({"odd.parquet": changed(role, column)}, "rows")
    for name, (role, column) in wrong.items():
        yield f"role: {name}", Hostile({"bad.parquet": changed(role, column)}, "refused")
    dated = {"use_deprecated_int96_timestamps": True}
    yield "role: int96", Hostile({"odd.parquet": changed("date", date.cast(pa.timestamp("us")), **dated)}, "rows")


#: Names that a column may have.
NAMES = (
    *("", " ", ".", "a.b", "symbol.x", "close.", "tags.list", "tags.list.element", "note.", "0", "w_", "code", "day"),
    *(
        "new\nline",
        "NUL\0",
        "\x1b[31mred",
        "qu\"o'te",
        "\u202e",
        "é",
        "é",
        "🚀",
        "Venue",
        "../x",
        "x" * 60_000,
        "%s",
        "*",
    ),
)


def own_columns() -> Iterator[tuple[str, Hostile]]:
    """Strange columns beside the roles, and strange names of columns."""
    rows = prices().num_rows
    columns: dict[str, Any] = {
        "list": [[1, None], [], None] * 30,
        "struct": [{"a": 1, "b": ["x"]}, {"a": None, "b": None}, None] * 30,
        "map": pa.array([[("k", 1.0)], [], None] * 30, pa.map_(pa.string(), pa.float64())),
        "deep": [[[[["x"]]]], None, []] * 30,
        "text that is none": bad_text(),
        "few bad texts": bad_text().dictionary_encode(),
        "nulls": pa.nulls(rows),
        "long": ["x" * 20_000, "", None] * 30,
        "decimals": pa.array([None] * rows, pa.decimal256(76, 38)),
        "last moment": pa.array([2**63 - 1] * rows, pa.timestamp("us")),
        "late dates": pa.array([2**31 - 1] * rows, pa.int32()).view(pa.date32()),
    }
    for name, column in columns.items():
        yield f"own: {name}", Hostile({"odd.parquet": changed("own", column)}, "rows")
        yield (
            f"own: {name}, in date order",
            Hostile(
                {
                    "odd.parquet": parquet(
                        prices("date").append_column(
                            "own", column if isinstance(column, pa.Array) else pa.array(column)
                        )
                    )
                },
                "rows",
            ),
        )
    for name in NAMES:
        expected: Expected = "refused" if name in ("code", "day") else "rows"  # a second symbol, a second date
        yield f"name: {name[:20]!r}", Hostile({"odd.parquet": changed(name, list(range(rows)))}, expected)
    whole = parquet(prices())
    doubled = parquet(prices("date")).replace(b"\x04note", b"\x04tags")
    yield "name: twice", Hostile({"bad.parquet": doubled}, "refused")
    yield "name: case twin of a role", Hostile({"bad.parquet": changed("Close", [1.0] * rows)}, "refused")
    yield "name: no text", Hostile({"bad.parquet": whole.replace(b"\x04note", b"\x04n\xff\xfee")}, "refused")
    few = daily(["AAA"], 6)
    more = {f"c{number}": pa.array([number] * 6, pa.int32()) for number in range(10_000)}
    many = pa.table(dict(zip(few.column_names, few.columns, strict=True)) | more)
    yield "10,000 columns", Hostile({"odd.parquet": parquet(many, use_dictionary=False)}, "rows")


def encodings() -> Iterator[tuple[str, Hostile]]:
    """Whole files of every codec and encoding, without rows, without columns."""
    for order in ("symbol", "date"):
        for writer, options in WRITERS.items():
            yield f"whole: {order} {writer}", Hostile({"odd.parquet": parquet(prices(order), **options)}, "rows")
        for codec in ("brotli", "gzip", "lz4", "snappy", "zstd", "none"):
            data = parquet(prices(order), compression=codec)
            yield f"codec: {order} {codec}", Hostile({"odd.parquet": data}, "rows")
    table = prices()
    yield "no rows", Hostile({"odd.parquet": parquet(table.slice(0, 0))}, "refused")
    yield "no columns", Hostile({"bad.parquet": parquet(table.select([]))}, "refused")
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema) as writer:
        for begin in (0, 30, 60):
            writer.write_table(table.slice(0, 0))
            writer.write_table(table.slice(begin, 30))
    yield "row groups of no rows", Hostile({"odd.parquet": sink.getvalue()}, "rows")
    indexed = parquet(table, write_page_index=True)
    begin = footer_begin(indexed)
    for at in range(begin - 200, begin, 25):
        data = indexed[:at] + bytes([indexed[at] ^ 0x55]) + indexed[at + 1 :]
        yield f"page index {begin - at}", Hostile({"odd.parquet": data}, "rows")


# ---- folders ---------------------------------------------------------------------------------------------


def folders() -> Iterator[tuple[str, Hostile]]:
    """Folders of three files, of which the first, the middle or the last is another."""
    whole = prices()
    others: dict[str, tuple[bytes, Expected]] = {
        "no close": (parquet(whole.slice(30, 30).drop_columns(["close"])), "rows"),
        "no note": (parquet(whole.slice(30, 30).drop_columns(["note"])), "rows"),
        "one more": (parquet(whole.slice(30, 30).append_column("more", pa.array(range(30)))), "rows"),
        "other order": (parquet(whole.slice(30, 30).select(whole.column_names[::-1])), "rows"),
        "int32 volume": (parquet(_as(whole.slice(30, 30), "volume", pa.int32())), "rows"),
        "no rows": (parquet(whole.slice(0, 0)), "rows"),
        "no symbol": (parquet(whole.slice(30, 30).drop_columns(["symbol"])), "refused"),
        "no date": (parquet(whole.slice(30, 30).drop_columns(["date"])), "refused"),
        "text close": (parquet(_as(whole.slice(30, 30), "close", pa.string())), "refused"),
        "text date": (parquet(_as(whole.slice(30, 30), "date", pa.string())), "refused"),
        "no Parquet": (b"symbol,date\n", "refused"),
        "cut": (parquet(whole.slice(30, 30))[:-9], "refused"),
        "another program's": (_of_duckdb(whole.slice(30, 30)), "rows"),
    }
    for name, (other, expected) in others.items():
        for place, wrong in (("first", "0.parquet"), ("middle", "1.parquet"), ("last", "2.parquet")):
            rest = iter([parquet(whole.slice(0, 30)), parquet(whole.slice(60, 30))])
            files = {file: other if file == wrong else next(rest) for file in ("0.parquet", "1.parquet", "2.parquet")}
            yield f"folder: {name} {place}", Hostile(files, expected)


def _as(table: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, table[name].cast(kind))


def _of_duckdb(rows: pa.Table) -> bytes:
    """A file with bloom filters, by DuckDB."""
    with tempfile.TemporaryDirectory() as folder:
        duckdb.sql(f"copy (from rows) to '{folder}/x.parquet' (format parquet, compression zstd)")
        return Path(folder, "x.parquet").read_bytes()


CORPORA = (
    *(truncated, flipped, page_bodies, wild_codes, footer_fields, contradictions, missing_fields, statistics),
    *(no_parquet, roles, own_columns, encodings, folders),
)


@functools.cache
def files() -> dict[str, Hostile]:
    """Every hostile input by its name."""
    return {name: hostile for corpus in CORPORA for name, hostile in corpus()}
