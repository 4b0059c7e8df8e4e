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
_MOST_OPENING_SPANS = 1024
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


class _Lengths:
    """The literal or the match lengths of the sequences as codes, and what is added to a code's first value.

    Lengths are `counts` of values of `width` bytes.
    """

    def __init__(self, bases: Ints, bits: Ints, counts: Ints, width: int) -> None:
        lengths = np.arange(int(counts.max()) + 1) * width
        codes = np.searchsorted(bases, lengths, "right") - 1
        used = np.flatnonzero(np.bincount(codes[np.flatnonzero(np.bincount(counts))]))
        self.table = _table(tuple(used.tolist()), len(bases) - 1)
        known = codes <= used[-1]
        states = np.zeros(len(codes), np.int64)
        states[known] = self.table.states[codes[known]]
        self.states = states[counts]
        self.any_extra = bool(bits[used].any())
        if self.any_extra:
            self.extra, self.extra_bits = (lengths - bases[codes])[counts], bits[codes][counts]


def span_frames(lengths: Ints, width: int) -> SpanFrames | None:
    """Return what makes the frames of columns with values of `width` bytes that repeat over spans of `lengths` rows.

    None where little repeats, or a block would not hold a span or what lies between two that repeat.
    """
    repeated = lengths > 1
    if 2 * int(repeated.sum()) <= len(lengths) or int((lengths - 1).sum()) * width < _LEAST_REPEATED_BYTES:
        return None
    if int(lengths.max()) * width > _MOST_BLOCK_BYTES // 2 or int(np.argmax(repeated)) >= _MOST_OPENING_SPANS:
        return None
    try:
        return SpanFrames(lengths, width)
    except ValueError:
        return None


class SpanFrames:
    """Frames of columns whose values, of `width` bytes, repeat over spans of `lengths` rows.

    Raises
    ------
    ValueError
        If too many values lie between two that repeat.
    """

    def __init__(self, lengths: Ints, width: int) -> None:
        self._width, self._rows = width, int(lengths.sum())
        self._opening = int(np.argmax(lengths > 1)) + 1
        self._opening_rows = int(lengths[: self._opening].sum())
        self._blocks = self._sequences(lengths[self._opening :])

    def frame(self, prefix: bytes, values: NDArray[np.generic]) -> bytes:
        """Return a frame of `prefix` (at most some KB) and the repeated values, one of `values` for each span."""
        literals = memoryview(values.view(np.uint8))  # type: ignore[arg-type]
        size = len(prefix) + self._rows * self._width
        begin = self._opening * self._width
        pieces = [_MAGIC, _DESCRIPTOR, size.to_bytes(4, "little"), *self._opening_block(prefix + literals[:begin])]
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
        distance_bits = distance.bit_length() - 1
        fields = (
            (distance - 2**distance_bits, distance_bits),
            (repeats - int(_MATCH_BASES[match]), int(_MATCH_BITS[match])),
            (len(literals) - int(_LITERAL_BASES[literal]), int(_LITERAL_BITS[literal])),
        )
        sequences = bytes([1, _RLE << 6 | _RLE << 4 | _RLE << 2, literal, distance_bits, match])
        sequences += _stream(*(_bits(np.array([value]), width) for value, width in fields))
        return _block(memoryview(literals), sequences, last=not self._blocks)

    def _sequences(self, lengths: Ints) -> list[tuple[int, bytes]]:
        """Return for each block how many spans it has, and its sequences: one for each span of several rows."""
        if not len(lengths):
            return []
        stops = _block_stops(lengths * self._width)
        starts = np.concatenate([[0], stops[:-1]])
        repeated = np.flatnonzero(lengths > 1)
        bounds = np.searchsorted(repeated, np.concatenate([[0], stops]))
        # A sequence's literals begin after the span of the one before, or where its block does.
        before = np.concatenate([[-1], repeated[:-1]])
        before = np.maximum(before, np.repeat(starts, np.diff(bounds)) - 1)
        literal = _Lengths(_LITERAL_BASES, _LITERAL_BITS, repeated - before, self._width)
        match = _Lengths(_MATCH_BASES, _MATCH_BITS, lengths[repeated] - 1, self._width)
        head = bytes([literal.table.mode << 6 | _RLE << 4 | match.table.mode << 2])
        head += literal.table.description + b"\0" + match.table.description  # \0: the distance used last
        machines = [kind for kind in (literal, match) if kind.table.mode == _FSE]
        width = sum(kind.table.bits for kind in machines)
        bits, told = _rows_of_bits(literal, match)
        made = []
        for spans, begin, end in zip((stops - starts).tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            if begin == end:
                made.append((spans, _count(0)))
                continue
            rows = bits[begin:end].ravel() if told is None else bits[begin:end][told[begin:end]]
            opening = [_bits(kind.states[begin : begin + 1], _ACCURACY)[0] for kind in machines]
            made.append((spans, _count(end - begin) + head + _stream(*opening, rows[: len(rows) - width])))
        return made


def _rows_of_bits(literal: _Lengths, match: _Lengths) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Return for each sequence what is added to its codes and the next one's states, as bits; None: all are told."""
    following, width = np.zeros(len(match.states) - 1, np.int64), 0
    for kind in (literal, match):
        following = following << kind.table.bits | kind.states[1:]
        width += kind.table.bits
    states = _bits(np.append(following, 0), width)
    extra = [(kind.extra, kind.extra_bits) for kind in (match, literal) if kind.any_extra]
    if not extra:
        return states, None
    told = [np.arange(int(widths.max()), 0, -1) <= widths[:, None] for _, widths in extra]
    bits = [_bits(values, int(widths.max())) for values, widths in extra]
    return np.hstack([*bits, states]), np.hstack([*told, np.ones(states.shape, bool)])


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


def _bits(values: Ints, width: int) -> NDArray[np.uint8]:
    """Return the lowest bits of numbers below 2**16, the highest of them first: uint8[values, width]."""
    kind, most = (np.uint8, 8) if width <= 8 else (np.dtype(">u2"), 16)
    whole = values.astype(kind).view(np.uint8).reshape(len(values), most // 8)
    return np.unpackbits(whole, axis=1)[:, most - width :]


def _stream(*bits: NDArray[np.uint8]) -> bytes:
    """Return bits such that they are read in their order from the end on."""
    mark = np.ones(1, np.uint8)  # tells where the last byte begins
    return np.packbits(np.concatenate([mark, *(some.ravel() for some in bits)])[::-1], bitorder="little").tobytes()


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
