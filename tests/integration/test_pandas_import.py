"""Commands that have no use for pandas do not load it, and leave it to others."""

import subprocess
import sys
from pathlib import Path

from support_dumps import comment, write_dump

ROOT = Path(__file__).parents[2]


def test_extract_does_not_load_pandas_where_it_is_installed(tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", [comment("a"), comment("b", parent="t1_a")])
    command = [sys.executable, "-X", "importtime", "-m", "data_prep", "extract"]
    options = ["--dumps", str(tmp_path / "dumps"), "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [*command, *options, "--num_workers", "1"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pyarrow.lib" in loaded
    assert not {name for name in loaded if name.startswith("pandas.")}


def test_a_program_that_calls_the_command_keeps_its_pandas(tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", [comment("a")])
    options = ["--dumps", str(tmp_path / "dumps"), "--output", str(tmp_path / "out")]
    program = f"""
from data_prep.__main__ import main
main(["extract", *{[*options, "--num_workers", "1"]!r}])
import pandas
import pyarrow as pa
print("nulls:", pa.array(pandas.Series([float("nan")])).null_count)  # pandas: nan is null
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "nulls: 1" in done.stdout
