"""What months and quarters beside the week cost: whole builds, alternating.

python tests/benchmarks/clocks.py --folder .bench --symbols 4000 --years 10
"""

from __future__ import annotations

from flags import print_costs

FLAGS = {"week": ["--every", "week"], "months and quarters": ["--every", "week,month,quarter"]}

if __name__ == "__main__":
    print_costs(__doc__, FLAGS)
