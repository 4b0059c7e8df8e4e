"""`weekly-cli features`: what build can add, and all about one column."""

from __future__ import annotations

from typing import Annotated

import typer

from weekly_cli.cli.application import command, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.settings.sources import resolve_some


@command(
    "every",
    "windows",
    "plugin",
    "cross_section",
    "developing",
    "json",
    examples=("weekly-cli features momentum", "weekly-cli features w_rsi_14", "weekly-cli features --every month"),
)
def features(
    typed: Typed,
    name: Annotated[
        str | None, typer.Argument(help="A column, about which all is told, or a family; else all are listed.")
    ] = None,
) -> int:
    """List every column that build can add; of one, tell its source, steps, warm-up and an example with numbers."""
    from weekly_cli.compute.features import CROSS, catalogue
    from weekly_cli.compute.features.cross import EXAMPLES, texts_of
    from weekly_cli.compute.features.developing import FAMILY as DEVELOPING
    from weekly_cli.run.plugins import own_features, plugins_of, refuse_without_columns
    from weekly_cli.settings import Config

    names = ["every", "windows", "plugin", "cross_section", "developing", "json"]
    known = resolve_some(names, *layers(typed))
    plugins = plugins_of(Config(plugin=known["plugin"]))
    own = own_features(plugins)
    with_developing = known["developing"] or name == DEVELOPING
    columns = catalogue(["{b}"], known["windows"], own, known["every"], with_developing=with_developing)
    placed = known["cross_section"] or (EXAMPLES if name == CROSS else texts_of(name or "", columns.steps))
    columns = columns.with_cross(placed)
    crosses = [row.name for row in columns.features if row.family == CROSS]
    if name is not None and name not in {*columns.families, *(feature.family for feature in own), *crosses}:
        from weekly_cli.cli.views import feature_card as view
        from weekly_cli.questions.feature_card import feature_card

        card = feature_card(name, known["windows"], own)
        if known["json"]:
            print_json(card.to_dict())
        else:
            view.show(card, console(stderr=False))
        return EXIT_DONE
    listed = [plugin for plugin in plugins if name in (None, plugin.features[0].family)]
    refuse_without_columns(listed, known["every"], "--every")
    rows = [
        {
            "family": row.family,
            "column": row.name,
            "formula": row.formula,
            "first_bar": row.first_bar,
            "window": row.window,
            "parity": row.parity,
        }
        for row in columns.features
        if name in (None, row.family, row.name if row.family == CROSS else row.family)
    ]
    if known["json"]:
        print_json(rows)
        return EXIT_DONE
    from rich.table import Table

    table = Table("family", "column", "formula", "first bar", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(row[name]) for name in ("family", "column", "formula", "first_bar")))
    console(stderr=False).print(table)
    if name == CROSS and not known["cross_section"]:
        console(stderr=False).print(
            "These are examples: build --cross-section adds such a column of any column of bars, by any group."
        )
    if name is None:
        console(stderr=False).print(
            "Labels look ahead, as targets for models, and belong to no family: build --label forward_return_4w adds "
            "label_forward_return_4w, and any other number of weeks does."
        )
    return EXIT_DONE
