"""Files put together from column chunks, read back by Arrow, DuckDB and Polars, none of which wrote them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekly_cli.compute.arrays import empty_table, numpy_type
from weekly_cli.compute.spans import SpanColumn
from weekly_cli.errors import InputRefused
from weekly_cli.files import disk, parquet, thrift
from weekly_cli.files.fast.column_chunks import PHYSICAL
from weekly_cli.files.fast.row_groups import RowGroupFile
from weekly_cli.files.fast.zstd_frames import Spans
from weekly_cli.files.footer import ChunkFooter, FooterReader, RowGroupFooter
from weekly_cli.files.part_writer import hides_nan
from weekly_cli.settings.table import COMPRESSIONS

OWN = pa.table(
    {
        "symbol": ["A", "A", None, "ß\0", "A", "A", "B", "B", "B"],
        "date": pa.array([1, 2, 3, None, 5, 6, -7, 8, 9], pa.int32()).cast(pa.date32()),
        "close": [1.5, None, math.nan, math.inf, -0.0, 0.0, -math.inf, 5e-324, 7.0],
        "small": pa.array([0.5, None, 2.5, -3.5, 0, 0, 0, 0, 1], pa.float32()),
        "volume": pa.array([2**62, -1, None, 0, 1, 2, 3, 4, 5], pa.int64()),
        "none": pa.nulls(9, pa.float64()),
        "list": pa.array([[1, 2], [], None, [3], [4], [5], [6], [7], [8]], pa.list_(pa.field("element", pa.int64()))),
        "price": pa.array([None, *range(8)], pa.int32()).cast(pa.decimal128(12, 2)),
        "kind": pa.array(["x", "y", None] * 3).dictionary_encode(),
        "flag": [True, False, None] * 3,
    }
)
REQUIRED = pa.schema([pa.field("required", pa.float64(), nullable=False)])
LENGTHS = np.array([1, 4, 3, 1])
MISSING = np.array([True, False, False, True])
SPANS = [
    SpanColumn("w_ret", pa.float32(), np.array([9, 1.5, math.nan, 9], np.float32), MISSING),
    SpanColumn("w_all", pa.float64(), np.array([1, 2, 3, 4.0]), None),
    SpanColumn("w_none", pa.float32(), np.zeros(4, np.float32), np.ones(4, bool)),
    SpanColumn("w_bars", pa.int32(), np.array([1, 2, 3, 2**31 - 1], np.int32), None),
    SpanColumn("w_days", pa.int16(), np.array([1, -2, 3, 5], np.int16), MISSING),
    SpanColumn("w_week_end", pa.date32(), np.array([1, 20000, -5, 7], np.int32), None),
]


def expanded(spans: SpanColumn, lengths: Any = LENGTHS) -> pa.Array:
    """The slow way: a Python value for each row."""
    missing = [False] * len(lengths) if spans.missing is None else spans.missing.tolist()
    pairs = zip(spans.values.tolist(), missing, lengths.tolist(), strict=True)
    values = [None if is_missing else value for value, is_missing, length in pairs for _ in range(length)]
    if spans.kind == pa.date32():
        return pa.array(values, pa.int32()).cast(pa.date32())
    return pa.array(values, spans.kind, from_pandas=False)


def written(
    path: Path, own: pa.Table = OWN, spans: Any = SPANS, compression: str = "zstd", groups: int = 1
) -> pa.Table:
    """Write a file and return what it should hold."""
    fields = [*own.schema, *(pa.field(column.name, column.kind) for column in spans)]
    schema = pa.schema(fields, metadata={b"weekly_cli": b"{}"})
    with RowGroupFile(path, schema, compression, use_dictionary=["symbol", "kind"], write_statistics=True) as file:
        for _ in range(groups):
            file.write(own, LENGTHS, spans)
        size = file.close(durable=False)
    assert size == path.stat().st_size
    one = pa.table([*own.columns, *map(expanded, spans)], schema=schema)
    return pa.concat_tables([one] * groups)


def same(found: pa.Table, wanted: pa.Table) -> bool:
    """Equal with NaN equal to NaN."""
    assert found.schema.equals(wanted.schema, check_metadata=True), f"{found.schema}\n{wanted.schema}"
    pairs = zip(found.columns, wanted.columns, strict=True)
    return all(repr(one.to_pylist()) == repr(other.to_pylist()) for one, other in pairs)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_arrow_reads_what_was_written(tmp_path: Path, compression: str) -> None:
    wanted = written(tmp_path / "file.parquet", compression=compression, groups=3)
    file = pq.ParquetFile(tmp_path / "file.parquet", page_checksum_verification=True)
    assert file.metadata.num_row_groups == 3
    assert same(file.read(), wanted)
    assert file.metadata.metadata[b"weekly_cli"] == b"{}"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_duckdb_and_polars_read_the_same(tmp_path: Path, compression: str) -> None:
    own = OWN.drop_columns(["list", "price", "kind"])
    wanted = written(tmp_path / "file.parquet", own, compression=compression, groups=2)
    rows = duckdb.sql(f"select * from '{tmp_path}/file.parquet'").fetchall()
    assert repr(rows) == repr([tuple(row.values()) for row in wanted.to_pylist()])
    assert repr(pl.read_parquet(tmp_path / "file.parquet").rows()) == repr(rows)


def test_required_columns_stay_required(tmp_path: Path) -> None:
    own = pa.table([pa.array(np.arange(9.0))], schema=REQUIRED)
    wanted = written(tmp_path / "file.parquet", own)
    assert same(pq.ParquetFile(tmp_path / "file.parquet").read(), wanted)


def test_every_flipped_bit_of_a_page_is_found(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    wanted = written(path)
    data = path.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little")
    rng = np.random.default_rng(7)
    for position in rng.choice(np.arange(4, len(data) - footer - 8), 150, replace=False).tolist():
        flipped = bytearray(data)
        flipped[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "flipped.parquet").write_bytes(flipped)
        try:
            found = pq.ParquetFile(tmp_path / "flipped.parquet", page_checksum_verification=True).read()
        except (OSError, pa.ArrowException):
            continue
        assert same(found, wanted), f"byte {position} of {len(data)} went unnoticed"


@pytest.mark.parametrize("inside_the_kernel", [True, False])
def test_files_are_joined_without_a_page_being_decoded(
    inside_the_kernel: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not inside_the_kernel:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
        monkeypatch.setattr(disk, "_COPY_BYTES", 100)
    parts = [tmp_path / f"{number}.parquet" for number in range(3)]
    wanted = [written(part, groups=number + 1) for number, part in enumerate(parts)]
    joined = RowGroupFile(tmp_path / "joined.parquet", wanted[0].schema, "zstd", use_dictionary=["symbol", "kind"])
    with joined:
        for part in parts:
            joined.append(part)
        joined.close(durable=True)
    file = pq.ParquetFile(tmp_path / "joined.parquet", page_checksum_verification=True)
    assert file.metadata.num_row_groups == 6
    assert same(file.read(), pa.concat_tables(wanted))
    assert pl.read_parquet(tmp_path / "joined.parquet", columns=["w_ret"]).height == 54


def test_a_copy_of_bytes_that_are_not_there_fails(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"0123456789")
    with (tmp_path / "target").open("wb") as target:
        disk.copy_bytes(tmp_path / "short", 3, 7, target)
        target.write(b"!")
        with pytest.raises(OSError, match="ends at byte 10, before 12"):
            disk.copy_bytes(tmp_path / "short", 8, 12, target)
    assert (tmp_path / "target").read_bytes() == b"3456!89"


def test_a_file_may_have_no_rows(tmp_path: Path) -> None:
    with RowGroupFile(tmp_path / "empty.parquet", OWN.schema, "zstd") as file:
        file.close(durable=False)
    assert same(pq.ParquetFile(tmp_path / "empty.parquet").read(), empty_table(OWN.schema))


def test_an_error_while_a_file_is_written_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RowGroupFile(tmp_path / "x.parquet", OWN.schema, "zstd"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


KINDS = list(PHYSICAL)


@given(data=st.data())
def test_any_spans_come_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lengths = np.array(data.draw(st.lists(st.integers(1, 300), min_size=1, max_size=30)))
    spans = []
    for number, kind in enumerate(data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))):
        values = data.draw(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=len(lengths), max_size=len(lengths)))
        missing = data.draw(
            st.none() | st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)).map(np.array)
        )
        spans.append(SpanColumn(f"c{number}", kind, np.array(values, numpy_type(kind)), missing))
    own = pa.table({"row": pa.array(np.arange(lengths.sum()))})
    schema = pa.schema([*own.schema, *(pa.field(column.name, column.kind) for column in spans)])
    path = tmp_path_factory.mktemp("spans") / "file.parquet"
    with RowGroupFile(path, schema, data.draw(st.sampled_from(["snappy", "zstd"]))) as file:
        file.write(own, lengths, spans)
        file.close(durable=False)
    wanted = pa.table([*own.columns, *(expanded(column, lengths) for column in spans)], schema=schema)
    assert same(pq.ParquetFile(path, page_checksum_verification=True).read(), wanted)


# ---- frames of spans --------------------------------------------------------------------------------------

FEW = [5, 4, 3]
SEVERAL = [*FEW, 2, 1, 6]
MANY_KINDS = [*SEVERAL, 7, 8, 9, 12, 20, 100, 700]


def dense(rng: np.random.Generator, n: int, kind: type[np.generic]) -> np.ndarray[Any, Any]:
    """Values that no codec makes much shorter."""
    return np.frombuffer(rng.bytes(n * np.dtype(kind).itemsize), np.int32).view(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("kinds", [[5], FEW, SEVERAL, MANY_KINDS])
@pytest.mark.parametrize("spans", [1, 127, 129, 6_000, 40_000])
def test_frames_decode_to_the_repeated_values(spans: int, kinds: list[int], kind: type[np.generic]) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        lengths = rng.choice(kinds, spans)
        lengths[int(rng.integers(spans))] = 5
        if (lengths == 1).mean() >= 0.5:
            lengths[:] = 5
        values, prefix = dense(rng, spans, kind), rng.bytes(int(rng.integers(6, 3000)))
        frames = Spans(lengths, values.itemsize).frames(slice(None), prefix)
        assert (frames is None) == ((lengths - 1).sum() * values.itemsize < 512)
        if frames is None:
            continue
        wanted = prefix + np.repeat(values, lengths).tobytes()
        frame = frames.frame(values)
        assert pa.Codec("zstd").decompress(frame, len(wanted)).to_pybytes() == wanted
        assert len(frame) < len(prefix) + values.nbytes + 2 * spans + 200


@given(data=st.data())
def test_frames_of_spans_of_any_lengths_decode(data: st.DataObject) -> None:
    longest = data.draw(st.sampled_from([2, 6, 40, 3000]))
    lengths = np.array(data.draw(st.lists(st.integers(1, longest), min_size=1, max_size=300)))
    width = data.draw(st.sampled_from([4, 8]))
    frames = Spans(lengths, width).frames(slice(None), b"prefix")
    if frames is None:
        repeats = int((lengths - 1).sum()) * width
        assert 2 * (lengths > 1).sum() <= len(lengths) or repeats < 512
        return
    values = np.arange(len(lengths), dtype=f"<i{width}")
    wanted = b"prefix" + np.repeat(values, lengths).tobytes()
    assert pa.Codec("zstd").decompress(frames.frame(values), len(wanted)).to_pybytes() == wanted


@pytest.mark.parametrize(
    ("lengths", "why"),
    [
        ([1] * 100, "nothing repeats"),
        ([1, 1, 1, 5, 5], "most spans have one row"),
        ([5, 5, 20_000], "a span of more than half a block"),
        ([5] * 3 + [1] * 20_000 + [5] * 20_000, "thousands that do not repeat in between"),
        ([2] * 10, "a few rows"),
        ([1] * 40_000 + [5] * 40_001, "thousands before the first that repeats"),
    ],
)
def test_no_frames_are_made_where_they_would_not_pay(lengths: list[int], why: str) -> None:
    assert Spans(np.array(lengths), 4).frames(slice(None)) is None, why


def test_every_reader_reads_frames_of_spans(tmp_path: Path) -> None:
    """Columns with nulls at the begin of histories, in the middle, here and there, and without."""
    rng = np.random.default_rng(3)
    lengths = rng.choice(SEVERAL, 30_000, p=[0.8, 0.1, 0.04, 0.02, 0.02, 0.02])
    spans = len(lengths)
    patterns = [None, np.arange(spans) % 520 < 52, rng.random(spans) < 0.001, rng.random(spans) < 0.3]
    columns = [
        SpanColumn(
            f"{np.dtype(kind).name}_{number}", pa.from_numpy_dtype(kind), rng.normal(size=spans).astype(kind), missing
        )
        for number, missing in enumerate(patterns)
        for kind in (np.float32, np.float64)
    ]
    own = pa.table({"row": pa.array(np.arange(lengths.sum()))})
    schema = pa.schema([*own.schema, *(pa.field(column.name, column.kind) for column in columns)])
    path = tmp_path / "file.parquet"
    with RowGroupFile(path, schema, "zstd") as file:
        file.write(own, lengths, columns)
        file.close(durable=False)
    metadata = pq.ParquetFile(path).metadata.row_group(0)
    stored = [metadata.column(number).total_compressed_size for number in range(1, metadata.num_columns)]
    assert max(stored[::2]) < 4.7 * spans  # a float, and some bits, for a span
    wanted = pa.table([*own.columns, *(repeated(column, lengths) for column in columns)], schema=schema)
    assert pq.ParquetFile(path, page_checksum_verification=True).read().equals(wanted)
    assert duckdb.sql(f"from '{path}' order by row").to_arrow_table().cast(schema).equals(wanted)
    assert pl.read_parquet(path).to_arrow().cast(schema).equals(wanted)


def repeated(spans: SpanColumn, lengths: Any) -> pa.Array:
    """The column of rows, by Arrow."""
    missing = None if spans.missing is None else np.repeat(spans.missing, lengths)
    return pa.array(np.repeat(spans.values, lengths), spans.kind, mask=missing)


# ---- chunks of other files -------------------------------------------------------------------------------

FLAT = OWN.drop_columns(["list", "kind", "none"])


def copied(source: Path, path: Path, rows: pa.Table = FLAT) -> pa.Table | None:
    """Copy all row groups of a file that holds `rows`; None if they can't be."""
    with RowGroupFile(path, rows.schema, "zstd") as file:
        metadata = pq.ParquetFile(source).metadata
        for number in range(metadata.num_row_groups):
            chunks = file.copied(source, number, rows.slice(file.rows, metadata.row_group(number).num_rows))
            if chunks is None:
                file.discard()
                return None
            file.put(metadata.row_group(number).num_rows, chunks, np.empty(0, np.int64), [])
        file.close(durable=False)
    return pq.ParquetFile(path, page_checksum_verification=True).read()


@pytest.mark.parametrize(
    "options", [{}, {"data_page_version": "2.0"}, {"use_dictionary": False}, {"data_page_size": 50}]
)
@pytest.mark.parametrize("checksums", [True, False])
def test_chunks_are_copied_from_file_to_file(tmp_path: Path, options: dict[str, Any], checksums: bool) -> None:
    table = pa.concat_tables([FLAT] * 30)
    source = tmp_path / "source.parquet"
    options = options | {"write_page_checksum": checksums, "write_page_index": True, "write_batch_size": 5}
    pq.write_table(table, source, compression="zstd", row_group_size=100, **options)
    found = copied(source, tmp_path / "copy.parquet", table)
    assert found is not None
    assert same(found, table)
    assert repr(pl.read_parquet(tmp_path / "copy.parquet").rows()) == repr(pl.read_parquet(source).rows())
    now, before = (pq.ParquetFile(path).metadata.row_group(0) for path in (tmp_path / "copy.parquet", source))
    for number, column in enumerate(table.columns):
        kept, arrows = (group.column(number).statistics for group in (now, before))
        assert kept == arrows or (hides_nan(column) and not kept.has_min_max and kept.null_count == arrows.null_count)
    data = bytearray((tmp_path / "copy.parquet").read_bytes())
    data[now.column(2).data_page_offset + 40] ^= 1
    (tmp_path / "flipped.parquet").write_bytes(data)
    with pytest.raises(OSError, match=r"(?i)checksum|crc"):
        pq.ParquetFile(tmp_path / "flipped.parquet", page_checksum_verification=True).read()


def test_chunks_of_polars_and_duckdb_are_copied(tmp_path: Path) -> None:
    rows = FLAT.drop_columns(["price"])
    pl.from_arrow(rows).write_parquet(tmp_path / "polars.parquet", compression="zstd")  # type: ignore[union-attr]
    duckdb.sql(f"copy (from rows) to '{tmp_path}/duckdb.parquet' (format parquet, compression zstd)")
    for name in ("polars", "duckdb"):
        found = copied(tmp_path / f"{name}.parquet", tmp_path / f"{name}-copy.parquet", rows)
        assert found is not None
        assert same(found, rows), name


OTHERS = {
    "codec": (FLAT, {"compression": "snappy"}),
    "type": (FLAT.set_column(2, "close", FLAT["close"].cast(pa.float32())), {}),
    "unit": (FLAT.set_column(1, "date", FLAT["date"].cast(pa.timestamp("ms"))), {}),
    "decimal": (FLAT.set_column(5, "price", FLAT["price"].cast(pa.decimal128(14, 2))), {}),
    "column": (FLAT.drop_columns(["flag"]), {}),
    "nested": (OWN.drop_columns(["kind"]), {}),
    "nullable": (FLAT, {"schema": FLAT.schema.set(3, pa.field("small", pa.float32(), nullable=False))}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_chunks_that_would_mean_something_else_are_not_copied(tmp_path: Path, name: str) -> None:
    table, options = OTHERS[name]
    if "schema" in options:
        table = table.drop_null().cast(options.pop("schema"))
    pq.write_table(table, tmp_path / "source.parquet", **{"compression": "zstd", **options})
    assert copied(tmp_path / "source.parquet", tmp_path / "copy.parquet") is None


# ---- Thrift ----------------------------------------------------------------------------------------------


def test_footers_of_arrow_survive_decoding_and_encoding(tmp_path: Path) -> None:
    """Byte for byte, with every field that Arrow knows."""
    pq.write_table(
        pa.concat_tables([OWN] * 20),
        tmp_path / "file.parquet",
        row_group_size=7,
        write_page_index=True,
        sorting_columns=[pq.SortingColumn(0)],
        store_decimal_as_integer=True,
    )
    data = (tmp_path / "file.parquet").read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    begin = len(data) - 8 - length
    footer, end = thrift.decode(data, begin)
    assert end == len(data) - 8
    assert thrift.encode(footer) == data[begin:end]


def test_every_thrift_type_survives_encoding_and_decoding() -> None:
    fields = {
        1: thrift.Field(thrift.TRUE, True),
        2: thrift.Field(thrift.FALSE, False),
        3: thrift.Field(thrift.BYTE, -128),
        20: thrift.Field(thrift.DOUBLE, -1.5),
        21: thrift.Field(thrift.I64, -(2**63)),
        22: thrift.Field(thrift.I32, 2**31 - 1),
        400: thrift.Field(thrift.BINARY, b"\0" * 200),
        401: thrift.Field(thrift.LIST, thrift.Items(thrift.TRUE, [True, False])),
        402: thrift.Field(thrift.SET, thrift.Items(thrift.I16, list(range(-20, 20)))),
        403: thrift.Field(thrift.STRUCT, {}),
    }
    encoded = thrift.encode(fields)
    assert thrift.decode(b"x" + encoded, 1) == (fields, len(encoded) + 1)


@pytest.mark.parametrize("data", [b"", b"\x15", b"\x18\x05ab", b"\x19\xf8", b"\x1b\x00", b"\x17\x00"])
def test_what_is_no_struct_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="Thrift"):
        thrift.decode(data)


def by_arrow(file: pq.ParquetFile) -> tuple[int, list[RowGroupFooter]]:
    """What Arrow says of the row groups of a sound file."""
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    return file.metadata.num_rows, [
        RowGroupFooter(group.num_rows, [chunk_by_arrow(group.column(n)) for n in range(group.num_columns)])
        for group in groups
    ]


#: By their numbers in parquet.thrift.
ENCODINGS = (
    *("PLAIN", "", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY"),
    *("DELTA_BYTE_ARRAY", "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"),
)


def chunk_by_arrow(chunk: Any) -> ChunkFooter:
    statistics = chunk.statistics
    raw = [None, None]
    if statistics is not None and statistics.has_min_max:
        raw = [plain_bytes(value, chunk.physical_type) for value in (statistics.min_raw, statistics.max_raw)]
    return ChunkFooter(
        path=chunk.path_in_schema,
        kind=chunk.physical_type,
        encodings=tuple(ENCODINGS.index(name) for name in chunk.encodings),
        values=chunk.num_values,
        nulls=statistics.null_count or 0 if statistics is not None else 0,
        size_bytes=chunk.total_uncompressed_size,
        stored_bytes=chunk.total_compressed_size,
        data_offset=chunk.data_page_offset,
        dictionary_offset=chunk.dictionary_page_offset if chunk.has_dictionary_page else None,
        least=raw[0],
        most=raw[1],
        signed_only=False,
    )


def plain_bytes(value: Any, kind: str) -> bytes:
    if kind in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"):
        return bytes(value)
    number = {"INT32": "<i4", "INT64": "<i8", "FLOAT": "<f4", "DOUBLE": "<f8", "BOOLEAN": "?"}[kind]
    return np.array(value, number).tobytes()


UNSIGNED = pa.table({f"u{bits}": pa.array([0, 2**bits - 1, 7, *[None] * 6], f"uint{bits}") for bits in (8, 16, 32, 64)})


@pytest.mark.parametrize("options", [{}, {"version": "1.0"}, {"use_dictionary": False}, {"write_page_index": True}])
def test_footers_tell_what_arrow_says_they_do(tmp_path: Path, options: dict[str, Any]) -> None:
    table = pa.concat_tables([OWN] * 20)
    for name in UNSIGNED.column_names:
        table = table.append_column(name, pa.concat_tables([UNSIGNED] * 20).column(name))
    pq.write_table(table, tmp_path / "arrow.parquet", row_group_size=37, **options)
    file = pq.ParquetFile(tmp_path / "arrow.parquet")
    assert FooterReader().read(parquet.footer_bytes(tmp_path / "arrow.parquet"))[:2] == by_arrow(file)


def test_footers_of_polars_and_duckdb_tell_what_arrow_says_they_do(tmp_path: Path) -> None:
    plain = OWN.drop_columns(["none", "list"])
    pl.from_arrow(plain).write_parquet(tmp_path / "polars.parquet")  # type: ignore[union-attr]
    duckdb.sql(f"copy (from plain) to '{tmp_path}/duckdb.parquet' (format parquet)")
    for path in tmp_path.iterdir():
        found, wanted = FooterReader().read(parquet.footer_bytes(path))[:2], by_arrow(pq.ParquetFile(path))
        assert found == wanted, path.name


def test_footers_that_differ_in_rows_alone_have_the_same_frame(tmp_path: Path) -> None:
    """And are read as by a reader that has seen no other; a column, or metadata, of another name is another frame."""
    tables = {"a": OWN, "b": pa.concat_tables([OWN] * 3), "c": OWN.rename_columns([*OWN.column_names[:-1], "other"])}
    tables["d"] = OWN.replace_schema_metadata({"note": "x"})
    reader, frames = FooterReader(), {}
    for name in ("a", "b", "c", "d", "b", "a"):
        pq.write_table(tables[name], tmp_path / name, row_group_size=4)
        footer = parquet.footer_bytes(tmp_path / name)
        found = reader.read(footer)
        assert found == FooterReader().read(footer)
        assert found[:2] == by_arrow(pq.ParquetFile(tmp_path / name))
        frames[name] = found.frame
    assert frames["a"] == frames["b"]
    assert len(set(frames.values())) == 3


@pytest.mark.parametrize("name", ["whole", "cut", "no end", "other end", "too large"])
def test_a_file_without_a_whole_footer_is_refused_as_by_arrow(tmp_path: Path, name: str) -> None:
    pq.write_table(OWN, tmp_path / "p.parquet")
    data = (tmp_path / "p.parquet").read_bytes()
    damaged = {
        "whole": data,
        "cut": data[:-3],
        "no end": data[:4],
        "other end": data[:-4] + b"PAR2",
        "too large": data[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
    }
    (tmp_path / "p.parquet").write_bytes(damaged[name])
    if name == "whole":
        assert parquet.footer_bytes(tmp_path / "p.parquet") in data
        return
    with pytest.raises(InputRefused) as ours:
        parquet.footer_bytes(tmp_path / "p.parquet")
    with pytest.raises(InputRefused) as of_arrow:
        parquet.open_parquet(tmp_path / "p.parquet")
    assert str(ours.value) == str(of_arrow.value)


@pytest.mark.parametrize("data", [b"", b"\x15", b"\x18\x05ab", b"\x19\xf8", b"\x1b\x00", b"\x17\x00", b"\x1d\x00"])
def test_nothing_is_selected_from_what_is_no_struct(data: bytes) -> None:
    with pytest.raises(ValueError, match="Thrift"):
        thrift.select(data, 0, {2: thrift.I32})
    with pytest.raises(ValueError, match=r"Thrift"):
        FooterReader().read(data)


def test_what_is_selected_is_what_is_decoded(tmp_path: Path) -> None:
    """Fields of another type than is asked for are left out, as fields that are not there."""
    pq.write_table(OWN, tmp_path / "own.parquet")
    footer = parquet.footer_bytes(tmp_path / "own.parquet")
    decoded = thrift.decode(footer)[0]
    shape = {3: thrift.I64, 4: [{3: thrift.I64, 2: thrift.BINARY, 99: thrift.I32}], 6: thrift.BINARY, 1: thrift.I32}
    assert thrift.select(footer, 0, shape) == {
        1: decoded[1].value, 3: 9, 4: [{3: 9}], 6: decoded[6].value,
    }  # fmt: skip
