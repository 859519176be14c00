"""benchmarks/plato_results.py: what is run for each variant, and the table."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plato_results

FOUND = {
    "word_perplexity": 60.0,
    "marginal_word_perplexity": 62.0,
    "best_word_perplexity": 50.0,
    "bound_word_perplexity": 70.0,
    "nll_per_char": 1.2,
    "marginal_nll_per_char": 1.25,
    "latent_perplexity": 12.5,
    "latent_information": 0.5,
    "selection_accuracy": 0.9,
}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run; `dialogpt.plato` writes what it should."""
    seen: list[list[str]] = []

    def module(*words: Any) -> float:
        seen.append([str(word) for word in words])
        if words[0] == "dialogpt.plato":
            is_plain = "none" in str(words[2])
            names = ("word_perplexity", "nll_per_char") if is_plain else FOUND
            path = Path(words[words.index("--output") + 1])
            path.write_text(json.dumps({name: FOUND[name] for name in names}), encoding="utf-8")
        return float(len(seen))

    monkeypatch.setattr(plato_results, "_module", module)
    return seen


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["plato_results.py", *words])
    plato_results.main()


def test_each_variant_is_trained_measured_and_asked(
    commands: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "dd"
    files = ["--shards", "s", "--contexts", "c", "--init", "b", "--output", str(output)]
    run(monkeypatch, "run", *files, "--", "--max_epochs", "3")
    assert [words[0].partition(".")[2] for words in commands] == [
        *("train", "plato", "decode", "decode") * 3
    ]
    trained = [words for words in commands if words[0] == "dialogpt.train"]
    for words, latents in zip(trained, ("20", "20", "0"), strict=True):
        assert words[words.index("--plato.num_latents") + 1] == latents
        assert words[-2:] == ["--max_epochs", "3"]
    assert ["--plato.latent_visible_to_context" in words for words in trained] == [0, 1, 0]
    beams = [words for words in commands if "plato_beam.yaml" in " ".join(words)]
    assert ["--generation.length_penalty" in words for words in beams] == [0, 0, 1]
    again = len(commands)
    run(monkeypatch, "run", *files)
    assert len(commands) == again  # what is done is not done again
    capsys.readouterr()
    run(monkeypatch, "table", str(output))
    head, _, latent, blind, plain = capsys.readouterr().out.strip().splitlines()
    assert head.startswith("| data, variant | posterior | marginal |")
    assert latent.startswith("| dd, latent | 60 | 62 | 50 | 70 | 1.25 | 12.5 | 0.5 | 0.9 | 1 | 3 |")
    assert blind.startswith("| dd, blind | 60 |")
    # Without a latent there is one perplexity, in the column that compares.
    assert plain.startswith("| dd, none |  | 60 |  |  | 1.2 |  |  |  | 9 |")


def test_a_folder_without_results_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"expected result\.json"):
        run(monkeypatch, "table", str(tmp_path))
