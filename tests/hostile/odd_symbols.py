"""Odd symbols: text that breaks as a path, a number, a word of a shell or a line of a terminal."""

from __future__ import annotations

import string
import unicodedata

_DEVICES = ("CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)))
_PATHS = (
    *(".", "..", "/", "\\", "../x", "..\\x", "/etc/passwd", "C:\\x", "C:", "\\\\host\\x", "a/b", "a\\b", "a//b", "./a"),
    *("~", "~root", ".hidden", "_hidden", "a.", "a ", "file.parquet", "x" * 255, "x" * 300, "é" * 130, "-", "--", "-x"),
    *("s3://bucket/x", "file:///x", "part-00000.parquet", "bundle-0-000000.parquet", "journal", "../../../../x"),
)
_NOTHING = (
    *(
        "",
        " ",
        "  ",
        "\t",
        "NA",
        "N/A",
        "nan",
        "NaN",
        "-nan",
        "null",
        "NULL",
        "None",
        "none",
        "nil",
        "undefined",
        "NaT",
    ),
    *(
        "True",
        "true",
        "False",
        "false",
        "yes",
        "no",
        "#N/A",
        "#REF!",
        "__HIVE_DEFAULT_PARTITION__",
        "?",
        "missing",
        "all",
    ),
)
_NUMBERS = (
    *("0", "00", "007", "000001", "1", "1.0", "1e5", "1E400", "-0", "+1", "-1", "0x10", "0b1", "1_000", "1,000", "1/2"),
    *("inf", "-inf", "Infinity", "2024-01-05", "20240105", "12:30", "٠١", "１２", "½", "²", str(2**63), str(-(2**64))),
)
_SIGNS = (
    *("%2F", "%00", "%", "%%", "%s", "%n", "{0}", "{}", "${HOME}", "$HOME", "$(id)", "`id`", "; rm x", "&& x", "| x"),
    *(
        "a=b",
        "symbol=A",
        "=1+1",
        "@x",
        "#",
        "*",
        "**",
        "?",
        "[a]",
        "[!a]",
        "{a,b}",
        "<x>",
        "&amp;",
        "'",
        '"',
        "''",
        "'a'",
    ),
    *(
        "qu'o\"te",
        "a,b",
        '"a","b"',
        "a;b",
        "[red]x[/red]",
        "[/]",
        ":smile:",
        "\\n",
        "\\x1b",
        "'; drop table x; --",
        "\\",
    ),
    *("new\nline", "car\rriage", "both\r\n", "tab\there", "\n", "\r", "N\0UL", "\0", "N", "N\0", "\x1b[31mred\x1b[0m"),
    *(
        "\x1b]0;title\x07",
        "\x1b[2J",
        "\x9b31m",
        "\x08\x08",
        "\x7f",
        "A\x1b",
        "\x1bc",
        "a\x0bb",
        "a\x0cb",
        "\x85",
        "\x1c",
    ),
)
_LETTERS = (
    *("A", "a", "AA", "Aa", "aA", "aa", "ß", "ẞ", "ss", "SS", "ı", "i", "I", "İ", "ſ", "K", "\u212a", "Å", "\u212b"),
    *(
        "ﬁ",
        "fi",
        "Ω",
        "\u2126",
        "µ",
        "μ",
        "А",
        "Α",
        "ذوب",
        "فملی",
        "日経",
        "삼성",
        "\u1100\u1161",
        "가",
        "ไทย",
        "हिन्दी",
    ),
    *(
        "🚀",
        "👩‍👩‍👧",
        "👍🏽",
        "🇮🇷",
        "e\u0301\u0323",
        "e\u0323\u0301",
        "Z͑ͫ̓a̴l̷g̸o",
        "\u202e",
        "\u202eabc",
        "\u200f",
        "\u2066x\u2069",
    ),
    *(
        "\u200b",
        "a\u200bb",
        "a\u200db",
        "\u00ad",
        "\ufeff",
        "a\ufeff",
        "\ufffd",
        "\uffff",
        "\U0010ffff",
        "\ue000",
        "\U000e0041",
    ),
    *("\u2028", "\u2029", "\u3000", "\u00a0", "\u180e", "\u034f"),
)


def symbols() -> tuple[str, ...]:
    """Every odd symbol, each once."""
    found = [*_PATHS, *_NOTHING, *_NUMBERS, *_SIGNS, *_LETTERS, *_DEVICES]
    found += [f"{device.lower()}.txt" for device in _DEVICES]
    found += [f"A{chr(code)}B" for code in (*range(32), 127, *range(128, 160))]
    found += [f"A{sign}B" for sign in string.punctuation]
    found += [f"{sign}A" for sign in string.punctuation]
    found += [f" {word}" for word in ("A", "NA", "1")] + [f"{word} " for word in ("A", "NA", "1")]
    for letter in "éÅñöçşžőǘế":
        found += [unicodedata.normalize(form, f"X{letter}") for form in ("NFC", "NFD")]
    return tuple(dict.fromkeys(found))
