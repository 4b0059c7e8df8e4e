"""What an exchange's calendar, and the week of each symbol, cost: whole builds with and without them, alternating.

python tests/benchmarks/calendars.py --folder .bench --symbols 4000 --years 10
"""

from __future__ import annotations

from flags import print_costs

WEEK_END = ["--available", "week-end"]
FLAGS = {
    "without": WEEK_END,
    "--calendar XNYS": [*WEEK_END, "--calendar", "XNYS"],
    "--week auto": [*WEEK_END, "--week", "auto"],
}

if __name__ == "__main__":
    print_costs(__doc__, FLAGS)
