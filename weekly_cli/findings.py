"""What a second look at the data may find: a registry of codes, each with a sentence and the flag that helps.

A finding is no error: the run goes on, and says it. `--fail-on` makes an error of it, `--ignore` silences it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

#: Examples that a finding carries; the others are counted.
MOST_EXAMPLES = 3
ALL = "all"

#: The facts of one example by name: the symbol and the date where there is one, then values.
Example = Mapping[str, str | int | float]


@dataclass(frozen=True)
class FindingKind:
    """A row of the registry.

    Attributes
    ----------
    code : str
        Its stable name.
    counts : str
        What the count counts, in the plural.
    means : str
        What it means for the output.
    helps : str
        What helps, as a flag where there is one.
    in_plan : bool
        Whether keys and footers suffice, so that `plan` has it too.
    """

    code: str
    counts: str
    means: str
    helps: str
    in_plan: bool = False


@dataclass(frozen=True)
class Finding:
    """Something in the data that is probably not as its owner thinks.

    Attributes
    ----------
    code : str
        One of the registry's.
    count : int
    sentence : str
        What was found, with the count.
    help : str
        What to do about it.
    examples : tuple of mappings
        The first ones, by symbol and date.
    """

    code: str
    count: int
    sentence: str
    help: str
    examples: tuple[Example, ...] = ()

    @property
    def line(self) -> str:
        """The finding as one line of a report."""
        shown = "; ".join(" ".join(map(_word, example.items())) for example in self.examples)
        return f"{self.code}: {self.sentence}{f' (first: {shown})' if shown else ''}; {self.help}"


def _word(item: tuple[str, str | int | float]) -> str:
    name, value = item
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if name in ("symbol", "date", "what") else f"{name} {text}"


_ROWS = (
    FindingKind(
        "skipped-files", "files in the input's folders are not read", "their rows are missing in the output",
        "give their paths, or move them away", in_plan=True,
    ),
    FindingKind(
        "suspected-split", "jumps of the close look like splits that nobody adjusted for",
        "every return and average over one is wrong", "name a column with the adjusted close with --price",
    ),
    FindingKind(
        "suspected-unit", "rows have a price a hundred times as large or as small as its neighbours",
        "bars and averages keep a trace of it", "correct them in the input (cents and dollars mixed?)",
    ),
    FindingKind(
        "padding", "rows without volume repeat the row before",
        "days without trade count as sessions and move a week's first price",
        "leave them out of the bars with --drop-padding",
    ),
    FindingKind(
        "stale-prices", "weeks on end are without a move though as much is traded as around them",
        "returns and volatility are zero there", "compare with another source, or leave the symbols out with --symbols",
    ),
    FindingKind(
        "shifted-dates", "dates are on weekdays that no market has", "rows are in the wrong week",
        "give the zone of the market with --timezone", in_plan=True,
    ),
    FindingKind(
        "weekly-input", "gaps between rows are of a week or more", "a bar has one row, so a week's range is that row's",
        "give daily rows", in_plan=True,
    ),
    FindingKind(
        "intraday-input", "days have more rows than there are symbols, at several times of day",
        "rows are no days", "make the day's bar first with --on-intraday aggregate", in_plan=True,
    ),
    FindingKind(
        "future-dates", "rows have a date after today", "they are read as sessions", "correct them, or pass --end",
        in_plan=True,
    ),
    FindingKind(
        "negative-prices", "prices are negative", "they are not usable",
        "pass --negative-prices absolute where the sign marks a mean of bid and ask",
    ),
    FindingKind(
        "similar-symbols", "symbols differ only in case, blanks, dots at the end or Unicode form",
        "one history may be in two parts", "write them alike in the input", in_plan=True,
    ),
    FindingKind(
        "reused-symbol", "histories have a hole of two years or more",
        "windows go across it, maybe from one company to another", "give the later history another symbol",
    ),
    FindingKind(
        "wrong-anchor", "consecutive sessions are cut apart by --week", "a trading week is in two bars",
        "choose the anchor that fits with --week", in_plan=True,
    ),
    FindingKind(
        "missing-sessions", "sessions of the calendar are without a row of a symbol that has begun and not ended",
        "their days are in no bar", "add them, or give the symbol its own calendar with --calendar-map",
    ),
    FindingKind(
        "unscheduled-sessions", "rows are on days on which their calendar has no session",
        "they are in their week's bar, which is not seen before them", "leave them out, or choose another --calendar",
    ),
    FindingKind(
        "missing-role", "prices are not in the input", "columns that need them are made of closes, or null",
        "name them with --columns if they have other names", in_plan=True,
    ),
    FindingKind(
        "missing-members", "symbols of the universe are not in the input",
        "the others are placed without them, and survive", "add their rows, also of those that are no longer listed",
        in_plan=True,
    ),
    FindingKind(
        "adjusted-close-available", "rows have an adjusted close that differs from the close",
        "returns do not include splits and dividends", "use it with --price", in_plan=True,
    ),
    FindingKind(
        "adjusted-price-raw-volume", "splits change the volume but not the adjusted price",
        "volume ratios jump without a trade behind it", "pass --adjust-volume",
    ),
)  # fmt: skip
#: Every code that there is.
KINDS: Mapping[str, FindingKind] = MappingProxyType({row.code: row for row in _ROWS})


def finding(
    code: str,
    count: int,
    examples: Iterable[Example] = (),
    *,
    sentence: str = "",
    help: str = "",
) -> Finding:
    """Return a finding, with the registry's words where there are no better ones."""
    kind = KINDS[code]
    said = sentence or f"{count:,} {kind.counts}: {kind.means}"
    return Finding(code, count, said, help or kind.helps, tuple(examples)[:MOST_EXAMPLES])


def merged(findings: Iterable[Finding], ignored: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Return findings in the registry's order without the ignored; the last one of a code counts."""
    by_code = {one.code: one for one in findings if one.count}
    return tuple(by_code[code] for code in KINDS if code in by_code and code not in ignored)
