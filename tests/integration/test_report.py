import json
import subprocess
import sys
from pathlib import Path

import pytest

from dialogpt.report import main

PNG = b"\x89PNG\r\n\x1a\n"


def write_run(folder: Path) -> Path:
    folder.mkdir()
    records = [
        {"kind": "valid", "step": 0, "loss": 9.0, "perplexity": 8103.1},
        {"kind": "train", "step": 10, "loss": 6.0},
        {"kind": "train", "step": 20, "skipped_steps": 10},  # float16: no step of these counted
        {"kind": "valid", "step": 20, "loss": 5.0, "perplexity": 148.4},
    ]
    lines = [json.dumps(record) for record in records]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_the_curves_of_two_runs_become_one_picture_of_two_panels(tmp_path):
    forward, backward = write_run(tmp_path / "forward"), write_run(tmp_path / "backward")
    one, two = tmp_path / "one.png", tmp_path / "new folder" / "two.png"
    main([str(forward), "--output", str(one)])
    main([str(forward), str(backward), "--output", str(two)])
    assert one.read_bytes().startswith(PNG)
    assert two.read_bytes().startswith(PNG)
    width = {path: int.from_bytes(path.read_bytes()[16:20], "big") for path in (one, two)}
    assert width[two] == 2 * width[one]


def test_a_folder_without_metrics_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--output", str(tmp_path / "x.png")])
    assert stopped.value.code == 1
    assert f"{tmp_path}: expected metrics.jsonl, found none" in capsys.readouterr().err


def test_an_unknown_option_ends_the_command_with_exit_code_2(tmp_path):
    argv = [sys.executable, "-m", "dialogpt.report", str(tmp_path), "--outputs", "x.png"]
    finished = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "--output" in finished.stderr
