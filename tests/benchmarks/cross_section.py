"""What ranks across symbols cost: whole builds with and without them, alternating.

python tests/benchmarks/cross_section.py --folder .bench --symbols 4000 --years 10
"""

from __future__ import annotations

from flags import print_costs

FLAGS = {"without": [], "ranks": ["--cross-section", "rank(w_mom_12), zscore(w_vol_26)"]}

if __name__ == "__main__":
    print_costs(__doc__, FLAGS, ("seconds", "cpu_seconds"))
