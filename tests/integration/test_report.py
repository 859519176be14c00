import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support_train import merged, tiny_settings, train_here, write_shards

from dialogpt.report.__main__ import main

PNG = b"\x89PNG\r\n\x1a\n"


def write_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    records = [
        {"kind": "valid", "step": 0, "loss": 9.0, "perplexity": 8103.1},
        {"kind": "train", "step": 10, "loss": 6.0},
        {"kind": "train", "step": 20, "skipped_steps": 10},  # float16: no step of these counted
        {"kind": "valid", "step": 20, "loss": 5.0, "perplexity": 148.4},
    ]
    lines = [json.dumps(record) for record in records]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


class Page(HTMLParser):
    """What a browser would see: texts, images, and whether every tag is closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.images: list[dict[str, str]] = []
        self.sources: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self._open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "img":
            self.images.append(values)
        elif tag == "source":
            self.sources.append(values["srcset"])
        elif tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    shards = write_shards(folder / "shards")
    settings = merged(tiny_settings(shards, folder / "one"), {"max_steps": 12})
    train_here(settings, folder)
    train_here({**settings, "output": str(folder / "two"), "direction": "backward"}, folder)
    return folder


@pytest.fixture(scope="module")
def report(trained):
    main([str(trained / "one")])
    return trained / "one" / "report"


def test_the_curves_of_two_runs_become_one_picture_of_two_panels(tmp_path):
    forward, backward = write_run(tmp_path / "forward"), write_run(tmp_path / "backward")
    one, two = tmp_path / "one.png", tmp_path / "new folder" / "two.png"
    main([str(forward), "--output", str(one)])
    main([str(forward), str(backward), "--output", str(two)])
    assert one.read_bytes().startswith(PNG)
    assert two.read_bytes().startswith(PNG)
    width = {path: int.from_bytes(path.read_bytes()[16:20], "big") for path in (one, two)}
    assert width[two] == 2 * width[one]


def test_a_page_says_what_a_run_is_and_shows_every_curve_for_light_and_dark(report):
    page = Page(report / "index.html")
    names = [image["src"] for image in page.images]
    assert names == [
        *("loss.png", "perplexity.png", "learning-rate.png", "grad-norm.png"),
        *("tokens-per-second.png", "waiting-share.png", "padding-share.png"),
    ]
    assert page.sources == [name.replace(".png", "-dark.png") for name in names]
    for name in [*names, *page.sources]:
        assert (report / name).read_bytes().startswith(PNG)
    assert "Finished: step 12 was the last" in page.text
    assert "Trained on 120 dialogues, validated on 24; fp32 in padded batches" in page.text
    assert "12 (best)" in page.texts


def test_an_image_says_in_words_what_it_shows(trained, report):
    loss = Page(report / "index.html").images[0]["alt"]
    lines = [json.loads(line) for line in (trained / "one" / "metrics.jsonl").open()]
    first, *_, last = [line["loss"] for line in lines if line["kind"] == "valid"]
    assert f"Validation loss: from {first:.3f} at step 0 to {last:.3f} at step 12" in loss
    assert "Training loss: from" in loss


def test_several_runs_are_compared_beside_one_another(trained, capsys):
    main([str(trained / "one"), str(trained / "two")])
    report = trained / "report"
    assert capsys.readouterr().out == f"written to {report / 'index.html'}\n"
    page = Page(report / "index.html")
    assert "2 training runs" in page.text
    one, two = f"{trained.name}/one", f"{trained.name}/two"
    assert one in page.images[0]["alt"]
    assert two in page.images[0]["alt"]
    # Only what differs stands above the fold: the direction does, the seed does not.
    settings = page.texts[page.texts.index("Settings") :]
    folded = settings.index("The same in all")
    assert settings.index("direction") < folded < settings.index("seed")
    place = settings.index("direction")
    assert [text for text in settings[place:] if text.strip()][1:3] == ["forward", "backward"]


def test_a_run_that_is_going_on_is_drawn_as_far_as_it_is(tmp_path):
    run = write_run(tmp_path / "going" / "on")
    with (run / "metrics.jsonl").open("a") as lines:
        lines.write('{"kind": "train", "st')
    main([str(run)])
    page = Page(run / "report" / "index.html")
    assert "Not finished: step 20 at" in page.text
    assert "Float16 overflow undid 10 steps of 20" in page.text


def test_what_users_typed_is_text_on_the_page(tmp_path):
    run = write_run(tmp_path / "<b>&$x" / "_run$")
    (run / "config.yaml").write_text("output: '<script>alert(1)</script>'\n", encoding="utf-8")
    main([str(run)])
    page = Page(run / "report" / "index.html")
    assert "<script>alert(1)</script>" in page.texts
    assert "Training run <b>&$x/_run$" in page.texts
    main([str(run), str(write_run(tmp_path / "other")), "--output", str(tmp_path / "x.png")])
    assert (tmp_path / "x.png").is_file()


def test_the_same_metrics_give_the_same_files(trained, report):
    main([str(trained / "one"), "--output", str(trained / "again")])
    once, again = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (report, trained / "again")
    )
    assert once == again


def test_a_folder_without_metrics_is_named(tmp_path, capsys):
    for output in ([], ["--output", str(tmp_path / "x.png")]):
        with pytest.raises(SystemExit) as stopped:
            main([str(tmp_path), *output])
        assert stopped.value.code == 1
        assert f"{tmp_path}: expected metrics.jsonl, found none" in capsys.readouterr().err


def test_without_matplotlib_the_command_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run = write_run(tmp_path / "run")
    for output in ([], ["--output", str(tmp_path / "x.png")]):
        with pytest.raises(SystemExit) as stopped:
            main([str(run), *output])
        assert stopped.value.code == 1
        assert "pip install 'dialogpt[plots]'" in capsys.readouterr().err


def test_an_unknown_option_ends_the_command_with_exit_code_2(tmp_path):
    argv = [sys.executable, "-m", "dialogpt.report", str(tmp_path), "--outputs", "x.png"]
    finished = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "--output" in finished.stderr
