"""Frames of spans under a decoder that shares nothing with libzstd, which all Parquet readers decode with."""

from __future__ import annotations

from pathlib import Path

import fzstd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekly_cli.compute.spans import SpanColumn
from weekly_cli.files.fast.row_groups import RowGroupFile
from weekly_cli.files.fast.zstd_frames import SpanFrames, Spans

BLOCK_BYTES = 128 * 1024


def decoded(frame: bytes) -> bytes:
    return bytes(fzstd.decompress(bytearray(frame)))


def test_the_other_decoder_decodes_what_libzstd_wrote() -> None:
    data = np.random.default_rng(1).integers(0, 9, 50_000).astype(np.int16).tobytes()
    assert decoded(pa.Codec("zstd").compress(data, asbytes=True)) == data


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("kinds", [[5], [5, 4, 3], [5, 4, 3, 2, 1, 6], [5, 4, 3, 2, 1, 6, 7, 8, 9, 12, 20, 100, 700]])
@pytest.mark.parametrize("spans", [127, 129, 12_000])
def test_frames_decode_to_the_repeated_values(spans: int, kinds: list[int], kind: type[np.generic]) -> None:
    rng = np.random.default_rng(spans)
    lengths = rng.choice(kinds, spans, p=np.array([9, *[1] * (len(kinds) - 1)]) / (8 + len(kinds)))
    values, prefix = rng.normal(size=spans).astype(kind), rng.bytes(100)
    frames = Spans(lengths, values.itemsize).frames(slice(None), prefix)
    assert frames is not None
    assert decoded(frames.frame(values)) == prefix + np.repeat(values, lengths).tobytes()


@given(data=st.data())
def test_frames_of_any_lengths(data: st.DataObject) -> None:
    longest = data.draw(st.sampled_from([2, 6, 40, 3000]))
    lengths = np.array(data.draw(st.lists(st.integers(1, longest), min_size=1, max_size=100)))
    width = data.draw(st.sampled_from([4, 8]))
    prefix = data.draw(st.binary(max_size=300))
    frames = Spans(lengths, width).frames(slice(None), prefix)
    if frames is not None:
        values = np.arange(len(lengths), dtype=f"<i{width}")
        assert decoded(frames.frame(values)) == prefix + np.repeat(values, lengths).tobytes()


# ---- the first block -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix_bytes", [0, 1, 15, 16, 60_000, 100_000])
def test_the_first_block_holds_its_prefix(prefix_bytes: int) -> None:
    """As far as it may: 127 of the 128 KiB that a block decodes to at most."""
    lengths = np.array([1] * 100 + [3000] + [5] * 200)
    prefix, values = bytes(prefix_bytes), np.random.default_rng(1).normal(size=len(lengths))
    frames = Spans(lengths, 8).frames(slice(None), prefix)
    assert (frames is None) == (prefix_bytes + 3100 * 8 > BLOCK_BYTES - 1024)
    if frames is not None:
        wanted = prefix + np.repeat(values, lengths).tobytes()
        assert pa.Codec("zstd").decompress(frames.frame(values), len(wanted), asbytes=True) == wanted
        assert decoded(frames.frame(values)) == wanted


def test_a_first_block_that_is_too_large_is_refused() -> None:
    spans = Spans(np.array([1] * 1000 + [8000] + [5] * 2000), 8)
    with pytest.raises(ValueError, match="an opening block of"):
        SpanFrames(spans, slice(None), bytes(64 * 1024))


def test_levels_of_64_kib_before_a_long_first_span(tmp_path: Path) -> None:
    """524,288 rows, nulls here and there: their levels are bits, and with the first span more than a block."""
    rng = np.random.default_rng(1)
    lengths = np.array([1] * 1000 + [8000] + [4] * ((2**19 - 9000) // 4))
    missing = np.concatenate([np.zeros(1001, bool), rng.random(len(lengths) - 1001) < 0.5])
    column = SpanColumn("w_x", pa.float64(), rng.normal(size=len(lengths)), missing)
    own = pa.table({"row": pa.array(np.arange(2**19))})
    schema = pa.schema([*own.schema, pa.field("w_x", pa.float64())])
    with RowGroupFile(tmp_path / "file.parquet", schema, "zstd") as file:
        file.write(own, lengths, [column])
        file.close(durable=False)
    found = pq.read_table(tmp_path / "file.parquet", page_checksum_verification=True)
    assert found.column("w_x").combine_chunks().equals(column.repeated(lengths))
