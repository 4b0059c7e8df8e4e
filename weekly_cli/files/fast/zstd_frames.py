"""Zstandard frames of values that repeat over spans of rows, made from the spans.

A general compressor is given a value as often as rows see it, looks for what repeats, and finds what is known
already. Here each span's value is a literal, and one sequence per span repeats it: what the sequences say hangs on
the lengths of the spans alone, so that all columns that are missing in the same rows share it, and a column costs no
more than a copy of its values. Literals are stored as they are (no Huffman code), so a frame is a tenth to a third
larger than the library's; any decoder reads it.

Source: RFC 8878, Zstandard Compression and the 'application/zstd' Media Type, sections 3.1.1 (frames, blocks,
sequences, repeat offsets) and 4.1 (finite state entropy).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_MAGIC = b"\x28\xb5\x2f\xfd"
#: One segment (no window), a content size of four bytes, no checksum: a page has its own.
_DESCRIPTOR = b"\xa0"
_MOST_BLOCK_BYTES = 127 * 1024  # the format's 128 KiB, less room for a block's own headers
_LEAST_REPEATED_BYTES = 512  # a block must not be larger than all that a frame holds
_COMPRESSED = 2
_RLE, _FSE = 1, 2
#: The first value of each code of literal and match lengths, and how many bits are added to it.
_LITERAL_BASES = np.array([*range(16), 16, 18, 20, 22, 24, 28, 32, 40, 48, *(2**n for n in range(6, 17))])
_LITERAL_BITS = np.array([0] * 16 + [1] * 4 + [2, 2, 3, 3, 4, *range(6, 17)])
_MATCH_BASES = np.array([*range(3, 35), 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, *(2**n + 3 for n in range(7, 17))])
_MATCH_BITS = np.array([0] * 32 + [1] * 4 + [2, 2, 3, 3, 4, 4, 5, *range(7, 17)])
_ACCURACY = 5
_STATES = 2**_ACCURACY


class _Table(NamedTuple):
    """How codes are told.

    The state machine that the format asks for is made such that each code has one state from which any other's can
    follow, always in `bits` bits: codes then need no look at what follows them, and a column of them is one array.

    Attributes
    ----------
    mode : int
    description : bytes
        As a block has it.
    states : int64[codes]
    bits : int
    """

    mode: int
    description: bytes
    states: Ints
    bits: int


class _Codes:
    """The literal or the match lengths of sequences as codes.

    Attributes
    ----------
    table : _Table
    states : uint8[lengths]
    extra, extra_bits : int64[lengths] or None
        What is added to a code's first value; None: nothing is to any.
    """

    def __init__(self, bases: Ints, bits: Ints, counts: Ints, width: int) -> None:
        """Take lengths as `counts` of values of `width` bytes."""
        lengths = np.arange(int(counts.max()) + 1) * width
        codes = np.searchsorted(bases, lengths, "right") - 1
        occurs = np.bincount(counts) > 0
        used = np.flatnonzero(np.bincount(codes[occurs]))
        self.table = _table(tuple(used.tolist()), len(bases) - 1)
        states = np.zeros(len(codes), np.uint8)
        states[occurs] = self.table.states[codes[occurs]]
        self.states = states[counts]
        self.extra: Ints | None = None
        self.extra_bits: Ints | None = None
        if bits[used].any():
            self.extra, self.extra_bits = (lengths - bases[codes])[counts], bits[codes][counts]


class Spans:
    """Spans of `lengths` rows of a row group whose values have `width` bytes; columns are missing in some of them."""

    def __init__(self, lengths: Ints, width: int) -> None:
        self.lengths, self.width = lengths, width
        self.repeated = lengths > 1
        longest = int(lengths.max())
        self.match: _Codes | None = None
        if 1 < longest <= _MOST_BLOCK_BYTES // 2 // width:
            # Found once for all columns, which takes half of the time of a frame's sequences.
            repeats = np.where(self.repeated, lengths, longest) - 1
            self.match = _Codes(_MATCH_BASES, _MATCH_BITS, repeats, width)

    def frames(self, there: NDArray[np.bool_] | slice, prefix: bytes = b"") -> SpanFrames | None:
        """Return what makes the frames of `prefix` and of columns that are in the spans `there`.

        None where little repeats, or a block would not hold a span, what lies between two that repeat, or all that
        lies before the first that does.
        """
        lengths, repeated = self.lengths[there], self.repeated[there]
        repeats = (int(lengths.sum()) - len(lengths)) * self.width
        if 2 * np.count_nonzero(repeated) <= len(lengths) or repeats < _LEAST_REPEATED_BYTES or self.match is None:
            return None
        try:
            return SpanFrames(self, there, prefix)
        except ValueError:
            return None


class SpanFrames:
    """Frames of `prefix` and of columns whose values are in the same spans.

    Raises
    ------
    ValueError
        If the prefix and what is repeated first do not fit into a block, or too many values lie between two that
        repeat.
    """

    def __init__(self, spans: Spans, there: NDArray[np.bool_] | slice, prefix: bytes) -> None:
        assert spans.match is not None
        self._match, self._width, self._prefix = spans.match, spans.width, prefix
        lengths, repeated = spans.lengths[there], spans.repeated[there]
        self._rows = int(lengths.sum())
        self._opening = int(np.argmax(repeated)) + 1
        self._opening_rows = int(lengths[: self._opening].sum())
        opening_bytes = len(prefix) + self._opening_rows * self._width
        if opening_bytes > _MOST_BLOCK_BYTES:
            raise ValueError(f"an opening block of {opening_bytes:,} bytes")
        # The opening block has the first of them.
        self._which = np.arange(len(spans.lengths))[there][self._opening :] if self._match.extra is not None else None
        states = self._match.states[there][self._opening :]
        self._blocks = self._sequences(lengths[self._opening :], repeated[self._opening :], states)

    def frame(self, values: NDArray[np.generic]) -> bytes:
        """Return a frame of the prefix and the repeated values, one of `values` for each span."""
        literals = memoryview(values.view(np.uint8))  # type: ignore[arg-type]
        size = len(self._prefix) + self._rows * self._width
        begin = self._opening * self._width
        pieces = [
            _MAGIC,
            _DESCRIPTOR,
            size.to_bytes(4, "little"),
            *self._opening_block(self._prefix + literals[:begin]),
        ]
        for spans, sequences in self._blocks:
            end = begin + spans * self._width
            pieces += _block(literals[begin:end], sequences, last=end == len(literals))
            begin = end
        return b"".join(pieces)

    def _opening_block(self, literals: bytes) -> list[bytes | memoryview]:
        """Return the block that ends with the first span of several rows: it tells how far back values repeat."""
        repeats = (self._opening_rows - self._opening) * self._width
        literal = int(np.searchsorted(_LITERAL_BASES, len(literals), "right")) - 1
        match = int(np.searchsorted(_MATCH_BASES, repeats, "right")) - 1
        distance = self._width + 3  # the numbers below stand for distances used before
        distance_code = distance.bit_length() - 1
        stream = _Stream()
        stream.put(distance - 2**distance_code, distance_code)
        stream.put(repeats - int(_MATCH_BASES[match]), int(_MATCH_BITS[match]))
        stream.put(len(literals) - int(_LITERAL_BASES[literal]), int(_LITERAL_BITS[literal]))
        head = bytes([1, _RLE << 6 | _RLE << 4 | _RLE << 2, literal, distance_code, match])
        return _block(memoryview(literals), head + stream.to_bytes(), last=not self._blocks)

    def _sequences(
        self, lengths: Ints, repeated: NDArray[np.bool_], states: NDArray[np.uint8]
    ) -> list[tuple[int, bytes]]:
        """Return for each block how many spans it has, and its sequences: one for each span of several rows."""
        if not len(lengths):
            return []
        stops = _block_stops(lengths * self._width)
        starts = np.concatenate([[0], stops[:-1]])
        rows = np.flatnonzero(repeated)
        bounds = np.searchsorted(rows, np.concatenate([[0], stops]))
        if len(rows) < len(lengths):
            # A sequence's literals begin after the span of the one before, or where its block does.
            before = np.concatenate([[-1], rows[:-1]])
            before = np.maximum(before, np.repeat(starts, np.diff(bounds)) - 1)
            literal = _Codes(_LITERAL_BASES, _LITERAL_BITS, rows - before, self._width)
            states = states[rows]
        else:
            literal = _Codes(_LITERAL_BASES, _LITERAL_BITS, np.ones(1, np.int64), self._width)
        head = bytes([literal.table.mode << 6 | _RLE << 4 | self._match.table.mode << 2])
        head += literal.table.description + b"\0" + self._match.table.description  # \0: the distance used last
        width = literal.table.bits + self._match.table.bits
        both = (literal.states.astype(np.uint16) << self._match.table.bits | states).astype(np.uint16)
        extra = self._extra(literal, rows)
        made = []
        for spans, begin, end in zip((stops - starts).tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            if begin == end:
                made.append((spans, _count(0)))
                continue
            stream = _Stream()
            for kind, state in ((literal, literal.states[begin % len(literal.states)]), (self._match, states[begin])):
                if kind.table.mode == _FSE:
                    stream.put(int(state), _ACCURACY)
            # Beside a sequence stands the state of the next one, of which the last has none.
            stream.put_rows(both[begin + 1 : end], width, [field[begin:end] for field in extra])
            made.append((spans, _count(end - begin) + head + stream.to_bytes()))
        return made

    def _extra(self, literal: _Codes, rows: Ints) -> list[NDArray[np.generic]]:
        """Return values and their numbers of bits that are added to the codes: those of the matches come first."""
        fields: list[NDArray[np.generic]] = []
        if self._match.extra is not None and self._match.extra_bits is not None and self._which is not None:
            fields += [self._match.extra[self._which[rows]], self._match.extra_bits[self._which[rows]]]
        if literal.extra is not None and literal.extra_bits is not None:
            fields += [literal.extra, literal.extra_bits]
        return fields


def _block_stops(sizes: Ints) -> Ints:
    """Return where to cut spans of `sizes` bytes into blocks."""
    ends = np.cumsum(sizes)
    stops = [0]
    while stops[-1] < len(sizes):
        begun = int(ends[stops[-1] - 1]) if stops[-1] else 0
        stops.append(int(np.searchsorted(ends, begun + _MOST_BLOCK_BYTES, "right")))
    return np.array(stops[1:])


def _block(literals: memoryview, sequences: bytes, *, last: bool) -> list[bytes | memoryview]:
    size = 3 + len(literals) + len(sequences)
    head = (size << 3 | _COMPRESSED << 1 | last).to_bytes(3, "little")
    return [head + (len(literals) << 4 | 0b1100).to_bytes(3, "little"), literals, sequences]


def _count(sequences: int) -> bytes:
    if sequences < 128:
        return bytes([sequences])
    if sequences < 0x7F00:
        return (sequences | 0x8000).to_bytes(2, "big")
    return b"\xff" + (sequences - 0x7F00).to_bytes(2, "little")


class _Stream:
    """Bits that are read from the last one on, in the order in which they were put."""

    def __init__(self) -> None:
        self._number = 1  # tells where the last byte begins
        self._bits = 0

    def put(self, value: int, bits: int) -> None:
        """Put a number of `bits` bits."""
        self._number, self._bits = self._number << bits | value, self._bits + bits

    def put_rows(self, values: NDArray[np.uint16], width: int, extra: list[NDArray[np.generic]]) -> None:
        """Put for each row what is `extra`, values and their numbers of bits in turn, and then its value, if any.

        There is one row more than there are values.
        """
        if not extra and 0 < width <= 8:  # nearly always: eight values are as many bytes as a value has bits
            eights = np.zeros(-(-len(values) // 8) * 8, np.uint64)
            eights[: len(values)] = values[::-1]
            shifts = np.arange(0, 8 * width, width, dtype=np.uint64)
            whole = np.bitwise_or.reduce(eights.reshape(-1, 8) << shifts, axis=1)
            packed = whole.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
            self.put(int.from_bytes(packed, "little"), len(values) * width)
            return
        fields = [*extra, np.append(values, 0), np.append(np.full(len(values), width), 0)]
        made, told = [], []
        for value, bits in zip(fields[::2], fields[1::2], strict=True):
            made.append(np.unpackbits(value.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1))
            told.append(np.arange(16, 0, -1) <= bits[:, None])
        flat = np.hstack(made)[np.hstack(told)]
        self.put(int.from_bytes(np.packbits(flat[::-1], bitorder="little").tobytes(), "little"), len(flat))

    def to_bytes(self) -> bytes:
        """Return all bits."""
        return self._number.to_bytes(self._bits // 8 + 1, "little")


# ---- finite state entropy --------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _table(codes: tuple[int, ...], filler: int) -> _Table:
    """Return a table of ascending codes; `filler`, a code that does not occur, takes the states that are left.

    Raises
    ------
    ValueError
        If `filler` does occur.
    """
    if len(codes) == 1:
        return _Table(_RLE, bytes(codes), np.zeros(codes[0] + 1, np.int64), 0)
    if codes[-1] >= filler:
        raise ValueError(f"code {filler} is in use")
    # A code with 2**n states is told in n bits less, if the first state of every code is below what those bits hold.
    share = 8 if len(codes) <= 3 else 4 if len(codes) <= 6 else 1
    shares = dict.fromkeys(codes, share) | {filler: _STATES - share * len(codes)}
    step = (_STATES >> 1) + (_STATES >> 3) + 3
    owners = np.empty(_STATES, np.int64)
    owners[np.arange(_STATES) * step % _STATES] = np.repeat(list(shares), list(shares.values()))
    states = np.zeros(filler, np.int64)
    states[list(codes)] = [int(np.argmax(owners == code)) for code in codes]
    bits = _ACCURACY - share.bit_length() + 1
    assert int(states.max()) < 2**bits
    return _Table(_FSE, _description(shares), states, bits)


def _description(shares: dict[int, int]) -> bytes:
    """Return a table as a block has it: how many states every code has, from 0 to the last that has some."""
    stream, at = _ACCURACY - 5, 4
    left, code, last = _STATES, 0, max(shares)
    while code <= last:
        share = shares.get(code, 0)
        code += 1
        value, most = share + 1, left + 1  # a number up to `most`: the smallest ones take a bit less
        bits = most.bit_length()
        short = 2**bits - 1 - most
        if value < short:
            stream, at = stream | value << at, at + bits - 1
        else:
            stream, at = stream | (value + short if value >= 2 ** (bits - 1) else value) << at, at + bits
        left -= share
        if not share:  # how many more have none, up to three at a time
            empty = 0
            while code + empty not in shares:
                empty += 1
            code += empty
            while empty >= 3:
                stream, at, empty = stream | 3 << at, at + 2, empty - 3
            stream, at = stream | empty << at, at + 2
    return stream.to_bytes((at + 7) // 8, "little")
