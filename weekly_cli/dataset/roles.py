"""Which column has which role: given, or found by its name."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from weekly_cli.dataset.schema import is_text
from weekly_cli.errors import InputRefused
from weekly_cli.names import ALIASES, REQUIRED_ROLES, ROLES, did_you_mean, normal


def find_roles(schema: pa.Schema, given: Mapping[str, str], where: str, setting: str = "--columns") -> dict[str, str]:
    """Return the column of each role that the input has.

    Parameters
    ----------
    schema : pa.Schema
    given : mapping of role to column name
        The value of `--columns`; the other roles are found by their aliases, ignoring case.
    where : str
        The input, for error messages.
    setting : str
        Where `given` came from, for error messages.

    Raises
    ------
    InputRefused
        If a required role is missing, a role has two columns, or a column's type does not suit its role.
    """
    roles: dict[str, str] = {}
    for role in ROLES:
        if role in given:
            if given[role] not in schema.names:
                raise InputRefused(
                    f"{where} has no column {given[role]!r} for {setting} {role}=...; it has {', '.join(schema.names)}"
                    f"{did_you_mean(given[role], schema.names)}"
                )
            roles[role] = given[role]
            continue
        matches = [name for name in schema.names if normal(name) in ALIASES[role] and name not in given.values()]
        if len(matches) > 1:
            raise InputRefused(
                f"{where} has more than one column for {role}: {', '.join(matches)}; choose with --columns {role}=NAME"
            )
        if matches:
            roles[role] = matches[0]
        elif role in REQUIRED_ROLES:
            raise InputRefused(
                f"{where} has no column for {role} among {', '.join(schema.names) or 'none at all'}; "
                f"name it with --columns {role}=NAME"
            )
    for role, name in roles.items():
        check_type(role, name, schema.field(name).type, where)
    return roles


def check_type(role: str, name: str, kind: pa.DataType, where: str) -> None:
    """Raise InputRefused if a column of this type can't have this role."""
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if role == "symbol":
        suits, takes = is_text(kind) or pa.types.is_integer(values), "text or integers"
    elif role == "date":
        suits = pa.types.is_date(kind) or pa.types.is_timestamp(kind) or is_text(kind)
        takes = "dates, timestamps or ISO text"
    else:
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        suits, takes = number or pa.types.is_null(kind), "numbers"
    if not suits:
        raise InputRefused(
            f"column {name!r} of {where} is {kind}, but {role} takes {takes}; "
            f"convert it, or choose another with --columns {role}=NAME"
        )
