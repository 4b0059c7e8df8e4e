"""What the job would cost if nothing had to be computed: read the input, write the output, one thread.

The output is read into memory before the clock starts, and written with the tool's own settings and row groups. The
CPU seconds, over the machine's cores, are a floor for any program that reads and writes with pyarrow.

    python floor.py INPUT OUTPUT COPY --compression zstd
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WEEKLY = "w_"


def read_cpu_seconds(files: list[Path]) -> float:
    """Return the CPU seconds to decode files."""
    began = time.process_time()
    for file in files:
        pq.ParquetFile(file).read(use_threads=False)
    return time.process_time() - began


def write_cpu_seconds(file: Path, copy: Path, compression: str) -> float:
    """Return the CPU seconds to encode a part of the output again."""
    whole = pq.ParquetFile(file)
    groups = [whole.read_row_group(number, use_threads=False) for number in range(whole.num_row_groups)]
    schema = whole.schema_arrow
    own = [field.name for field in schema if not field.name.startswith(WEEKLY)]
    began = time.process_time()
    with pq.ParquetWriter(
        copy,
        schema,
        compression=compression,
        compression_level=1 if compression == "zstd" else None,
        use_dictionary=[name for name in own if pa.types.is_string(schema.field(name).type)],
        write_statistics=own,
        write_page_checksum=True,
    ) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=len(group))
    return time.process_time() - began


def main() -> None:
    """Print the CPU seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("copy", type=Path)
    parser.add_argument("--compression", default="zstd")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    written = sorted(options.output.glob("*.parquet"))
    result = {
        "read_cpu_seconds": read_cpu_seconds(sorted(options.input.glob("*.parquet"))),
        "write_cpu_seconds": sum(write_cpu_seconds(file, options.copy, options.compression) for file in written),
        "rows": sum(pq.ParquetFile(file).metadata.num_rows for file in written),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
