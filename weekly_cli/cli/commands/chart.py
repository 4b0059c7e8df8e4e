"""`weekly-cli chart`: one symbol of an output as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from weekly_cli.cli.application import command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.names import printable
from weekly_cli.settings.kinds import Date
from weekly_cli.settings.sources import Given, resolve_some

if TYPE_CHECKING:
    import datetime


@command(
    "json",
    *CONNECTION,
    examples=(
        "weekly-cli chart weekly/ SPY",
        "weekly-cli chart weekly/ SPY -o spy.html",
        "weekly-cli chart weekly/ SPY --features trend,w_vol_12 --start 2023-01-01 -o spy.png",
    ),
)
def chart(
    typed: Typed,
    output: Annotated[str, typer.Argument(help="What build has written: a file, or a folder of parts.")],
    symbol: Annotated[str, typer.Argument(help="The symbol to draw.")],
    features: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Columns and families; else the week's close, SMA 20, RSI and MACD."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", "-o", metavar="PATH", help="Write NAME.html, .png or .svg; else draw in the terminal."),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="DATE", help="First date that is drawn.")] = None,
    end: Annotated[str | None, typer.Option(metavar="DATE", help="Last date that is drawn.")] = None,
) -> int:
    """Draw one symbol: the daily price, the weekly columns as a row sees them, and when each week became visible."""
    as_json = resolve_some(("json",), *layers(typed))["json"]
    first, last = _date("--start", start), _date("--end", end)
    with importing():
        from weekly_cli.cli.views import chart as view
        from weekly_cli.files import charts
        from weekly_cli.questions import chart_page
        from weekly_cli.questions.built import open_output
        from weekly_cli.questions.chart import chart_of
    if to is not None:
        suffix = charts.suffix_of(to)
        chart_page.check_library(to)
        charts.check_chart(to, output)
    drawn = chart_of(open_output(output), symbol, features, first, last)
    size_bytes = charts.write_chart(to, suffix, chart_page.rendered(drawn, suffix)) if to is not None else None
    if as_json:
        print_json({"file": to, "bytes": size_bytes, **drawn.to_dict()})
    elif size_bytes is not None:
        screen = console(stderr=False)
        screen.print(printable(f"{to}: {drawn.symbol}, {drawn.caption}; {size_bytes:,} bytes"), soft_wrap=True)
    else:
        view.show(drawn, console(stderr=False))
    return EXIT_DONE


def _date(flag: str, text: str | None) -> datetime.date | None:
    value: datetime.date | None = None if text is None else Given(text, flag, is_text=True).read(Date())
    return value
