"""When rows are, within a session: the order of the date column's times of day."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa

from weekly_cli.compute import arrays
from weekly_cli.compute.arrays import Column
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import parsed
from weekly_cli.dataset.schema import DateReading, is_text
from weekly_cli.names import EPOCH_UNITS

_MICROSECOND = datetime.timedelta(microseconds=1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def moments(dates: Column, reading: DateReading) -> Ints:
    """Return numbers that ascend with time, int64[rows], the same for rows of one moment.

    They count within a session only: columns of days have 0 throughout. Every row must have a session date.
    """
    chunks = dates.chunks if isinstance(dates, pa.ChunkedArray) else [dates]
    return np.concatenate([np.empty(0, np.int64), *(_of_chunk(chunk, reading) for chunk in chunks)])


def _of_chunk(dates: pa.Array, reading: DateReading) -> Ints:
    if is_text(dates.type):
        encoded = dates if pa.types.is_dictionary(dates.type) else dates.dictionary_encode()
        of_texts = np.array([0, *(_of_text(text, reading.format) for text in encoded.dictionary.to_pylist())], np.int64)
        of_texts = of_texts[1:]
        counts: Ints = of_texts[arrays.to_numpy(encoded.indices)]
        return counts
    if pa.types.is_dictionary(dates.type):
        dates = dates.dictionary_decode()
    if pa.types.is_timestamp(dates.type):
        return arrays.to_numpy(dates.view(pa.int64())).astype(np.int64, copy=False)
    if reading.unit in EPOCH_UNITS:
        return arrays.to_numpy(dates.cast(pa.int64()), 0)
    return np.zeros(len(dates), np.int64)


def _of_text(text: str, pattern: str | None) -> int:
    """Return microseconds since 1970, by the text's own offset from UTC if it has one."""
    try:
        moment = parsed(text, pattern)
    except (ValueError, TypeError):  # in the dictionary, but of no row that has a session date
        return 0
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    return (aware - _EPOCH) // _MICROSECOND
