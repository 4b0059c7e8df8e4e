"""Columns: one type for several files, roles by name, and keys as numbers, each against a plain definition."""

from __future__ import annotations

import datetime
import decimal
import itertools
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weekly_cli.dataset.dates import as_date, day_of, session_days
from weekly_cli.dataset.roles import find_roles
from weekly_cli.dataset.schema import prices, symbol_codes
from weekly_cli.dataset.unify import FileSchema, common_type, unify
from weekly_cli.errors import InputRefused
from weekly_cli.names import ALIASES, REQUIRED_ROLES, ROLES

INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
NUMBERS = (*INTEGERS, pa.float16(), pa.float32(), pa.float64())
FULL_RANGE_NUMBERS = tuple(kind for kind in NUMBERS if kind != pa.float16())


# ---- one type for two files ------------------------------------------------------------------------------


def extremes(kind: pa.DataType) -> list[int | float]:
    """The values of a type that another is most likely to lose."""
    numpy_kind = np.dtype(kind.to_pandas_dtype())
    if numpy_kind.kind in "iu":
        limits = np.iinfo(numpy_kind)
        return [limits.min, limits.min + 1, 0, limits.max - 1, limits.max]
    floats = np.finfo(numpy_kind)
    ends = (floats.min, floats.smallest_subnormal, floats.tiny, floats.eps, 1 + floats.eps, floats.max)
    return [float(numpy_kind.type(value)) for value in ends]


def holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Whether every extreme value of `narrow` is exactly a value of `wide`, by Python's exact numbers."""
    numpy_kind = np.dtype(wide.to_pandas_dtype())
    if numpy_kind.kind in "iu":
        limits = np.iinfo(numpy_kind)
        return pa.types.is_integer(narrow) and all(limits.min <= value <= limits.max for value in extremes(narrow))
    with np.errstate(over="ignore"):
        return all(numpy_kind.type(value).item() == value for value in extremes(narrow))


PAIRS = list(itertools.product(NUMBERS, NUMBERS))


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_the_common_type_of_numbers_holds_every_value_of_both(a: pa.DataType, b: pa.DataType) -> None:
    found = common_type(a, b)
    assert common_type(b, a) == found
    if not any(holds(kind, a) and holds(kind, b) for kind in FULL_RANGE_NUMBERS):
        whole = pa.types.is_integer(a) and pa.types.is_integer(b)
        assert found == (None if pa.float16() in (a, b) else pa.int64() if whole else pa.float64())
        return
    if found is not None:
        assert holds(found, a)
        assert holds(found, b)
    elif pa.float16() not in (a, b):
        assert not any(holds(kind, a) and holds(kind, b) for kind in NUMBERS)


@pytest.mark.parametrize(
    ("a", "b"),
    [pair for pair in itertools.product(FULL_RANGE_NUMBERS, repeat=2) if pair[0] != pair[1] and holds(*pair)],
    ids=str,
)
def test_where_one_number_type_holds_the_other_it_is_the_common_one(a: pa.DataType, b: pa.DataType) -> None:
    assert common_type(a, b) == a


SAME: list[tuple[pa.DataType, pa.DataType, pa.DataType | None]] = [
    (pa.string(), pa.large_string(), pa.large_string()),
    (pa.string(), pa.dictionary(pa.int8(), pa.string()), pa.string()),
    (pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.large_string()),
    (pa.null(), pa.float64(), pa.float64()),
    (pa.null(), pa.list_(pa.int8()), pa.list_(pa.int8())),
    (pa.date32(), pa.date64(), pa.date32()),
    (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ns")),
    (pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
    (pa.timestamp("us"), pa.timestamp("us", "UTC"), None),
    (pa.timestamp("us", "UTC"), pa.timestamp("us", "Asia/Tokyo"), None),
    (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
    (pa.date32(), pa.timestamp("ms", "Asia/Tokyo"), pa.timestamp("ms", "Asia/Tokyo")),
    (pa.timestamp("us", "UTC"), pa.timestamp("us", "+00:00"), pa.timestamp("us", "UTC")),
    (pa.decimal128(9, 2), pa.decimal128(18, 6), pa.decimal128(18, 6)),
    (pa.decimal128(18, 2), pa.decimal128(18, 6), pa.decimal128(22, 6)),
    (pa.decimal128(38, 2), pa.decimal128(38, 30), pa.decimal256(66, 30)),
    (pa.decimal128(9, 2), pa.int64(), pa.decimal128(22, 2)),
    (pa.decimal128(9, 2), pa.float32(), pa.float64()),
    (pa.decimal128(9, 2), pa.string(), None),
    (pa.dictionary(pa.int8(), pa.int64()), pa.int64(), pa.int64()),
    (pa.string(), pa.int64(), None),
    (pa.string(), pa.binary(), None),
    (pa.bool_(), pa.int8(), None),
    (pa.int64(), pa.float64(), pa.float64()),
    (pa.uint64(), pa.int64(), pa.int64()),
    (pa.date32(), pa.string(), None),
]


@pytest.mark.parametrize(("a", "b", "expected"), SAME, ids=str)
def test_other_types_have_the_common_type_that_loses_nothing(
    a: pa.DataType, b: pa.DataType, expected: pa.DataType | None
) -> None:
    assert common_type(a, b) == expected
    assert common_type(b, a) == expected
    assert common_type(a, a) == a


def unified(*kinds: pa.DataType) -> pa.DataType | None:
    try:
        schema = unify([FileSchema(f"{number}.parquet", pa.schema([("x", kind)])) for number, kind in enumerate(kinds)])
    except InputRefused:
        return None
    return schema.field("x").type


def test_the_order_of_files_does_not_decide_on_a_type() -> None:
    """Three files of three number types, in any order: one answer, and a refusal only where no type holds all."""
    for kinds in itertools.combinations(FULL_RANGE_NUMBERS, 3):
        found = {order: unified(*order) for order in itertools.permutations(kinds)}
        assert len(set(map(str, found.values()))) == 1, found
        if any(all(holds(kind, each) for each in kinds) for kind in FULL_RANGE_NUMBERS):
            assert None not in found.values()


# ---- one schema for all files ----------------------------------------------------------------------------


def refused(*schemas: tuple[str, pa.Schema]) -> str:
    with pytest.raises(InputRefused) as caught:
        unify([FileSchema(*schema) for schema in schemas])
    return str(caught.value)


def test_the_first_order_wins_and_new_columns_follow() -> None:
    first = pa.schema([("symbol", pa.string()), ("close", pa.float32())])
    second = pa.schema([("extra", pa.bool_()), ("close", pa.float64()), ("symbol", pa.large_string())])
    assert unify([FileSchema("a", first), FileSchema("b", second)]) == pa.schema(
        [("symbol", pa.large_string()), ("close", pa.float64()), ("extra", pa.bool_())]
    )


def test_nullable_in_one_file_is_nullable() -> None:
    never = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    maybe = pa.schema([pa.field("x", pa.int64())])
    first, second = FileSchema("a", never), FileSchema("b", maybe)
    assert unify([first, FileSchema("b", never)]) == never
    assert unify([first, second]) == unify([second, first]) == maybe


def test_a_refusal_names_both_files_the_column_and_both_types() -> None:
    middle = pa.schema([("other", pa.int8())])
    said = refused(
        ("a/one.parquet", pa.schema([("x", pa.int64())])),
        ("a/two.parquet", middle),
        ("a/three.parquet", pa.schema([("x", pa.string())])),
    )
    for word in ("a/one.parquet", "a/three.parquet", "'x'", "int64", "string"):
        assert word in said
    assert "two.parquet" not in said


def test_a_type_that_came_of_two_files_is_named_with_the_file_that_has_it() -> None:
    """int32 and int64 make int64, which meets no text: the file named for int64 must have int64."""
    kinds = {"one.parquet": pa.int32(), "two.parquet": pa.int64(), "three.parquet": pa.string()}
    said = refused(*((path, pa.schema([("x", kind)])) for path, kind in kinds.items()))
    named = [path for path in kinds if path in said]
    assert len(named) == 2
    assert all(str(kinds[path]) in said for path in named)


def test_a_column_twice_in_one_file_is_refused() -> None:
    said = refused(("a.parquet", pa.schema([("x", pa.int8()), ("y", pa.int8()), ("x", pa.int8())])))
    assert "a.parquet" in said
    assert "'x'" in said


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_column_that_is_never_null_must_be_everywhere(absent: int) -> None:
    whole = pa.schema([pa.field("x", pa.int64(), nullable=False), ("y", pa.int8())])
    schemas = [(f"{number}.parquet", pa.schema([("y", pa.int8())]) if number == absent else whole) for number in (0, 1)]
    if absent == 2:
        assert unify([FileSchema(*schema) for schema in schemas]) == whole
        return
    said = refused(*schemas)
    for word in ("0.parquet", "1.parquet", "'x'", "int64"):
        assert word in said


# ---- roles -----------------------------------------------------------------------------------------------

SUITABLE = dict.fromkeys(ROLES, pa.float64()) | {"symbol": pa.string(), "date": pa.date32()}


def roles_of(names: dict[str, pa.DataType], **given: str) -> dict[str, str]:
    return find_roles(pa.schema(list(names.items())), given, "prices")


def roles_refused(names: dict[str, pa.DataType], **given: str) -> str:
    with pytest.raises(InputRefused) as caught:
        roles_of(names, **given)
    assert "prices" in str(caught.value)
    return str(caught.value)


def with_column(role: str, column: str, kind: pa.DataType | None = None) -> dict[str, pa.DataType]:
    """The columns of every role under its own name, but for one."""
    return {
        column if each == role else each: kind or SUITABLE[each] if each == role else SUITABLE[each] for each in ROLES
    }


ALL_ALIASES = [(role, alias) for role, aliases in ALIASES.items() for alias in aliases]


@pytest.mark.parametrize(("role", "alias"), ALL_ALIASES, ids=str)
def test_every_alias_is_found_in_any_case_and_with_blanks(role: str, alias: str) -> None:
    for column in (alias, alias.upper(), alias.title(), alias.replace("_", " "), alias.replace("_", "-"), f" {alias} "):
        assert roles_of(with_column(role, column)) == {each: column if each == role else each for each in ROLES}


def test_an_alias_belongs_to_one_role() -> None:
    assert len({alias for _, alias in ALL_ALIASES}) == len(ALL_ALIASES)


@pytest.mark.parametrize("role", ROLES)
def test_two_columns_for_a_role_are_ambiguous_until_one_is_chosen(role: str) -> None:
    first, second = ALIASES[role][:2]
    columns = with_column(role, first) | {second.upper(): SUITABLE[role]}
    said = roles_refused(columns)
    for word in (first, second.upper(), f"--columns {role}="):
        assert word in said
    assert roles_of(columns, **{role: second.upper()})[role] == second.upper()


@pytest.mark.parametrize("role", ROLES)
def test_a_required_role_without_a_column_is_refused(role: str) -> None:
    columns = with_column(role, "unheard of")
    if role not in REQUIRED_ROLES:
        assert roles_of(columns) == {each: each for each in ROLES if each != role}
        return
    said = roles_refused(columns)
    for word in ("unheard of", f"--columns {role}="):
        assert word in said
    assert roles_of(columns, **{role: "unheard of"})[role] == "unheard of"


def test_a_file_without_columns_is_refused() -> None:
    assert "--columns symbol=" in roles_refused({})


def test_given_columns_are_exact_and_taken_from_the_other_roles() -> None:
    columns = with_column("close", "PX_LAST") | {"Close": pa.float64()}
    assert "Close" in roles_refused(columns)
    found = roles_of(columns, close="PX_LAST", open="Close")
    assert (found["close"], found["open"]) == ("PX_LAST", "Close")
    said = roles_refused(columns, close="px_last")
    for word in ("'px_last'", "--columns close=", "PX_LAST, "):
        assert word in said


#: Columns as vendors name them, and which ones are the roles.
OF_VENDORS = {
    "CRSP": "PERMNO date PRC VOL OPENPRC ASKHI BIDLO: PERMNO date OPENPRC ASKHI BIDLO PRC VOL",
    "Compustat": "gvkey datadate prcod prchd prcld prccd cshtrd: gvkey datadate prcod prchd prcld prccd cshtrd",
    "NSE": "SYMBOL OPEN HIGH LOW CLOSE LAST TOTTRDQTY TIMESTAMP: SYMBOL TIMESTAMP OPEN HIGH LOW CLOSE TOTTRDQTY",
    "NSE since 2024": "TradDt TckrSymb OpnPric HghPric LwPric ClsPric TtlTradgVol: "
    "TckrSymb TradDt OpnPric HghPric LwPric ClsPric TtlTradgVol",
    "Polygon": "ticker volume open close high low window_start: ticker window_start open high low close volume",
    "Kaggle": "date open high low close volume Name: Name date open high low close volume",
    "MetaStock": "<TICKER> <DATE> <TIME> <OPEN> <HIGH> <LOW> <CLOSE> <VOL>: "
    "<TICKER> <DATE> <OPEN> <HIGH> <LOW> <CLOSE> <VOL>",
}


@pytest.mark.parametrize("vendor", OF_VENDORS)
def test_columns_of_vendors_are_known(vendor: str) -> None:
    names, of_roles = (part.split() for part in OF_VENDORS[vendor].split(": "))
    kinds = {name: SUITABLE[role] for role, name in zip(ROLES, of_roles, strict=True)}
    assert roles_of({name: kinds.get(name, pa.float64()) for name in names}) == dict(zip(ROLES, of_roles, strict=True))


WRONG_TYPES = [
    ("symbol", pa.float64()),
    ("symbol", pa.date32()),
    ("symbol", pa.bool_()),
    ("symbol", pa.binary()),
    ("symbol", pa.dictionary(pa.int8(), pa.float64())),
    ("symbol", pa.null()),
    ("date", pa.decimal128(10, 2)),
    ("date", pa.time32("s")),
    ("date", pa.duration("s")),
    ("date", pa.bool_()),
    *((role, kind) for role in ("open", "high", "low", "close", "volume") for kind in (pa.string(), pa.bool_())),
    ("close", pa.date32()),
    ("close", pa.list_(pa.float64())),
    ("close", pa.dictionary(pa.int8(), pa.float64())),
]


@pytest.mark.parametrize(("role", "kind"), WRONG_TYPES, ids=str)
def test_a_type_that_does_not_suit_its_role_is_refused(role: str, kind: pa.DataType) -> None:
    said = roles_refused(with_column(role, role, kind))
    for word in (f"'{role}'", str(kind), f"--columns {role}="):
        assert word in said


RIGHT_TYPES = [
    *(("symbol", kind) for kind in (pa.large_string(), pa.string_view(), pa.int8(), pa.uint64())),
    ("symbol", pa.dictionary(pa.int32(), pa.string())),
    ("symbol", pa.dictionary(pa.int32(), pa.int64())),
    *(("date", kind) for kind in (pa.date64(), pa.timestamp("s"), pa.timestamp("ns", "Asia/Tokyo"), pa.string())),
    ("date", pa.dictionary(pa.int32(), pa.string())),
    *(("close", kind) for kind in (*NUMBERS, pa.decimal128(10, 2), pa.decimal256(40, 2), pa.null())),
]


@pytest.mark.parametrize(("role", "kind"), RIGHT_TYPES, ids=str)
def test_a_type_that_suits_its_role_is_taken(role: str, kind: pa.DataType) -> None:
    assert roles_of(with_column(role, role, kind)) == {each: each for each in ROLES}


# ---- session dates ---------------------------------------------------------------------------------------

DATE_OR_NONE = st.lists(st.none() | st.dates())
FIRST, LAST = datetime.date(1, 1, 1), datetime.date(9999, 12, 31)
EDGES = [FIRST, datetime.date(1969, 12, 31), datetime.date(1970, 1, 1), None, datetime.date(2000, 2, 29), LAST]


def days_found(column: pa.Array | pa.ChunkedArray) -> list[datetime.date | None]:
    """The session dates as the program finds them, None where it finds none."""
    days, known = session_days(column)
    assert days.dtype == np.int32
    usable = [True] * len(days) if known is None else known.tolist()
    assert known is None or not known.all()
    return [as_date(day) if use else None for day, use in zip(days.tolist(), usable, strict=True)]


@settings(deadline=None)
@given(date=st.dates())
def test_a_date_is_a_number_and_back(date: datetime.date) -> None:
    assert as_date(day_of(date)) == date
    assert day_of(date) == np.datetime64(date, "D").astype(int)


@settings(deadline=None)
@given(dates=DATE_OR_NONE, kind=st.sampled_from([pa.date32(), pa.date64()]))
def test_dates_are_read_exactly(dates: list[datetime.date | None], kind: pa.DataType) -> None:
    for case in (dates, EDGES):
        assert days_found(pa.array(case, kind)) == case


@settings(deadline=None)
@given(
    moments=st.lists(st.none() | st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2250, 1, 1))),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_timestamps_of_every_unit_are_their_dates(moments: list[datetime.datetime | None], unit: str) -> None:
    steps = {"s": 10**6, "ms": 10**3}.get(unit, 1)
    kept = [None if each is None else each.replace(microsecond=each.microsecond // steps * steps) for each in moments]
    expected = [None if each is None else each.date() for each in moments]
    assert days_found(pa.array(kept, pa.timestamp(unit))) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_timestamps_at_the_ends_of_the_calendar_are_read(unit: str) -> None:
    moments = [datetime.datetime(1, 1, 1), None, datetime.datetime(9999, 12, 31, 23, 59, 59)]
    assert days_found(pa.array(moments, pa.timestamp(unit))) == [FIRST, None, LAST]


ZONES = ["UTC", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Pacific/Kiritimati"]


@settings(deadline=None)
@given(
    moments=st.lists(st.none() | st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2035, 1, 1))),
    zone=st.sampled_from(ZONES),
    unit=st.sampled_from(["us", "ns"]),
)
def test_a_zoned_timestamp_is_the_date_in_its_zone(
    moments: list[datetime.datetime | None], zone: str, unit: str
) -> None:
    instants = [None if each is None else each.replace(tzinfo=datetime.UTC) for each in moments]
    local = [None if each is None else each.astimezone(zoneinfo.ZoneInfo(zone)).date() for each in instants]
    assert days_found(pa.array(instants, pa.timestamp(unit, zone))) == local


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("zone", [None, "Asia/Tehran"])
def test_moments_beyond_the_calendar_are_no_dates(unit: str, zone: str | None) -> None:
    """As days they would wrap around into any year at all."""
    counts = pa.array([2**62, 86400, None, -(2**62), -(2**63) + 1], pa.int64())
    days, known = session_days(counts.view(pa.timestamp(unit)).cast(pa.timestamp(unit, tz=zone)))
    assert known is not None
    assert known.tolist() == [False, True, False, False, False]
    assert days[1] == (1 if unit == "s" else 0)


def test_days_beyond_the_calendar_are_no_dates() -> None:
    """Day 0 of the year 1 and day 1 of the year 10000, and the ends of the numbers."""
    ends = [-719163, -719162, 2932896, 2932897, 2**31 - 1, -(2**31)]
    days, known = session_days(pa.array(ends, pa.int32()).view(pa.date32()))
    assert known is not None
    assert known.tolist() == [False, True, True, False, False, False]
    assert session_days(pa.array([0], pa.int32()).view(pa.date32()))[1] is None
    assert days.tolist() == ends


def test_zones_on_both_sides_of_the_date_line_have_their_own_date() -> None:
    instant = [datetime.datetime(2024, 3, 1, 20, 0, tzinfo=datetime.UTC)]
    found = {zone: days_found(pa.array(instant, pa.timestamp("s", zone)))[0] for zone in (*ZONES, "+05:30", "-08:00")}
    assert {zone for zone, date in found.items() if date == datetime.date(2024, 3, 2)} == {
        "Asia/Tokyo",
        "Asia/Kolkata",
        "Pacific/Kiritimati",
        "+05:30",
    }
    assert set(found.values()) == {datetime.date(2024, 3, 1), datetime.date(2024, 3, 2)}


ISO = [
    ("2024-03-01", datetime.date(2024, 3, 1)),
    ("20240301", datetime.date(2024, 3, 1)),
    ("2024-W09-5", datetime.date(2024, 3, 1)),
    ("2024-03-01T16:30", datetime.date(2024, 3, 1)),
    ("2024-03-01 16:30:00", datetime.date(2024, 3, 1)),
    ("2024-03-01T16:30:00.123456", datetime.date(2024, 3, 1)),
    ("2024-03-01T23:30:00Z", datetime.date(2024, 3, 1)),
    ("2024-03-01T23:30:00-11:00", datetime.date(2024, 3, 1)),
    ("2024-03-01T00:30:00+09:00", datetime.date(2024, 3, 1)),
    ("0001-01-01", FIRST),
    ("9999-12-31", LAST),
    ("1969-12-31T23:59:59", datetime.date(1969, 12, 31)),
    ("2024-02-30", None),
    ("2023-02-29", None),
    ("01.03.2024", None),
    ("03/01/2024", None),
    ("0000-00-00", None),
    ("10000-01-01", None),
    ("NaT", None),
    ("tomorrow", None),
    ("", None),
    ("2024-03-01\x00", None),
    (None, None),
]
TEXT_KINDS = [
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint16(), pa.large_string()),
]


@pytest.mark.parametrize("kind", TEXT_KINDS, ids=str)
def test_iso_text_is_read_and_other_text_is_none(kind: pa.DataType) -> None:
    texts, expected = zip(*ISO, strict=True)
    column = pa.array(texts).cast(kind) if pa.types.is_dictionary(kind) else pa.array(texts, kind)
    assert days_found(column) == list(expected)


@settings(deadline=None)
@given(dates=DATE_OR_NONE, kind=st.sampled_from(TEXT_KINDS))
def test_text_of_any_date_is_read(dates: list[datetime.date | None], kind: pa.DataType) -> None:
    texts = pa.array([None if date is None else date.isoformat() for date in dates], pa.string())
    assert days_found(texts.cast(kind)) == dates


def test_a_dictionary_may_have_a_null_a_doublet_and_a_word_that_no_row_has() -> None:
    words = pa.array(["2024-03-01", None, "2024-03-01", "no date", "unused"])
    column = pa.DictionaryArray.from_arrays(pa.array([2, 0, 1, None, 3], pa.int8()), words)
    day = datetime.date(2024, 3, 1)
    assert days_found(column) == [day, day, None, None, None]


@settings(deadline=None)
@given(data=st.data())
def test_chunks_and_slices_make_no_difference(data: st.DataObject) -> None:
    dates = data.draw(DATE_OR_NONE)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(dates)), max_size=4)))
    kind = data.draw(st.sampled_from([pa.date32(), pa.date64(), pa.string(), pa.dictionary(pa.int8(), pa.string())]))
    if pa.types.is_date(kind):
        whole = pa.array(dates, kind)
    else:
        whole = pa.array([None if date is None else date.isoformat() for date in dates], pa.string()).cast(kind)
    pieces = [whole[first:stop] for first, stop in itertools.pairwise([0, *cuts, len(dates)])]
    assert days_found(pa.chunked_array(pieces, kind)) == dates


# ---- symbols ---------------------------------------------------------------------------------------------

SYMBOLS = ["", " ", "000001", "1", "A", "BRK/B", "NA", "nan", "ذوب"]
TEXT = st.none() | st.sampled_from([*SYMBOLS, "unknown", "a"])
SYMBOL_KINDS = [
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]


def positions(values: list[Any], known: list[Any]) -> list[int]:
    return [known.index(value) if value is not None and value in known else -1 for value in values]


@settings(deadline=None)
@given(
    values=st.lists(TEXT),
    known=st.lists(st.sampled_from(SYMBOLS), unique=True),
    kind=st.sampled_from(SYMBOL_KINDS),
    known_kind=st.sampled_from([pa.string(), pa.large_string()]),
)
def test_text_symbols_are_found_among_the_known(
    values: list[str | None], known: list[str], kind: pa.DataType, known_kind: pa.DataType
) -> None:
    found = symbol_codes(pa.array(values, pa.string()).cast(kind), pa.array(known, known_kind))
    assert found.dtype == np.int32
    assert found.tolist() == positions(values, known)


@settings(deadline=None)
@given(values=st.lists(st.none() | st.integers(0, 9)), kind=st.sampled_from(INTEGERS), coded=st.booleans())
def test_integer_symbols_are_found_among_the_known(values: list[int | None], kind: pa.DataType, coded: bool) -> None:
    known = [1, 3, 5, 7, 100]
    column = pa.array(values, kind)
    found = symbol_codes(column.dictionary_encode() if coded else column, pa.array(known, kind))
    assert found.tolist() == positions(values, known)


@settings(deadline=None)
@given(chunks=st.lists(st.lists(TEXT), max_size=5), data=st.data())
def test_chunks_may_have_dictionaries_of_their_own(chunks: list[list[str | None]], data: st.DataObject) -> None:
    """Each chunk has its own words in its own order, some unused, and may be a slice."""
    kind = pa.dictionary(pa.int8(), pa.string())
    columns, expected = [], []
    for values in chunks:
        words = data.draw(st.permutations(sorted({"unused", *(value for value in values if value is not None)})))
        codes = pa.array([None if value is None else words.index(value) for value in values], pa.int8())
        begin = data.draw(st.integers(0, len(values)))
        columns.append(pa.DictionaryArray.from_arrays(codes, pa.array(words))[begin:])
        expected += values[begin:]
    found = symbol_codes(pa.chunked_array(columns, kind), pa.array(SYMBOLS))
    assert found.tolist() == positions(expected, SYMBOLS)


def test_a_dictionary_may_have_a_null_among_its_words() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2], pa.int8()), pa.array(["B", None, "A"]))
    assert symbol_codes(column, pa.array(["A", "B"])).tolist() == [1, -1, -1, 0]


@pytest.mark.parametrize(("index", "words"), [(pa.int8(), 127), (pa.int8(), 128), (pa.uint8(), 256)], ids=str)
def test_a_full_dictionary_of_narrow_indices_may_have_a_null_row(index: pa.DataType, words: int) -> None:
    symbols = [f"S{number:03d}" for number in range(words)]
    column = pa.DictionaryArray.from_arrays(pa.array([0, None, words - 1], index), pa.array(symbols))
    assert symbol_codes(column, pa.array(symbols)).tolist() == [0, -1, words - 1]


# ---- prices ----------------------------------------------------------------------------------------------


def same(found: np.ndarray[Any, Any], expected: list[float]) -> None:
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.array(expected, np.float64))


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_prices_may_have_every_number_type(kind: pa.DataType) -> None:
    column = pa.array([1, None, 3], pa.int8()).cast(kind)
    same(prices(column), [1, np.nan, 3])
    same(prices(column[1:]), [np.nan, 3])
    same(prices(pa.chunked_array([column, column[:0], column[2:]])), [1, np.nan, 3, 3])
    same(prices(pa.chunked_array([], kind)), [])


@settings(deadline=None)
@given(values=st.lists(st.none() | st.decimals(-(10**12), 10**12, places=4)))
def test_prices_may_be_decimals(values: list[decimal.Decimal | None]) -> None:
    expected = [np.nan if value is None else float(value) for value in values]
    for kind in (pa.decimal128(20, 4), pa.decimal256(50, 4)):
        found = prices(pa.array(values, kind))
        np.testing.assert_allclose(found, np.array(expected, np.float64), rtol=1e-15, equal_nan=True)


def test_a_column_may_be_nothing_but_nulls() -> None:
    same(prices(pa.nulls(3)), [np.nan] * 3)
    same(prices(pa.nulls(3, pa.float64())), [np.nan] * 3)


def test_nan_infinity_and_integers_beyond_2_to_53_are_no_error() -> None:
    same(prices(pa.array([float("nan"), float("inf"), None])), [np.nan, np.inf, np.nan])
    same(prices(pa.array([2**62 + 1, 3])), [2.0**62, 3])


@given(
    st.lists(st.one_of(st.none(), st.decimals(-(2**53) // 10**6, 2**53 // 10**6, places=6)), max_size=20),
    st.integers(0, 3),
)
def test_decimals_become_the_nearest_float(values: list[decimal.Decimal | None], offset: int) -> None:
    column = pa.array(values, pa.decimal128(18, 6))[offset:]
    expected = np.array([np.nan if value is None else float(value) for value in values[offset:]], float)
    assert np.array_equal(prices(column), expected, equal_nan=True)
    large = pa.array([decimal.Decimal("900719925474.099301")], pa.decimal128(18, 6))  # of another chunk or not
    apart = np.concatenate([prices(column), prices(large)])
    for together in (pa.chunked_array([column, large]), pa.concat_arrays([column, large])):
        assert np.array_equal(prices(together), apart, equal_nan=True)
