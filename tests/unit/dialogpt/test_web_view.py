import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from support_decode import save_model_folder, tiny_tokenizer
from support_plato_decode import save_plato_folder, tiny_plato
from support_web import HOSTILE_REPLIES, MARKUP, response

from dialogpt.checkpoint import CARD_FILE
from dialogpt.config.decoding import FilterConfig, GenerationConfig, ResponderConfig
from dialogpt.config.web import WebConfig
from dialogpt.decode.filters import FilteredHypothesis, Objection
from dialogpt.decode.load import load_model
from dialogpt.responders import build_responder
from dialogpt.text import clean_turn
from dialogpt.web import view
from dialogpt.web.card import Card, display_name, model_card
from dialogpt.web.notice import HEADLINE, notices

OWN_TAGS = {"div", "span", "bdi", "p", "i", "table", "thead", "tbody", "tr", "th", "td"}
OWN_TAGS |= {"b", "dl", "dt", "dd", "details", "summary", "pre", "ul", "li", "header", "h1"}
OWN_TAGS |= {"section"}
OWN_ATTRIBUTES = {"class", "dir", "scope", "tabindex", "role", "data-label"}


class Reader(HTMLParser):
    """What a browser makes of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.cells.append([])
        if tag in ("th", "td"):
            self.cells[-1].append("")

    def handle_data(self, data):
        self.texts.append(data)
        if self.cells:
            self.cells[-1][-1] += data


HOSTILE = (
    *HOSTILE_REPLIES,
    MARKUP.upper(),
    '" onclick="x',
    "</bdi></div><h1>",
    "&lt;img src=x&gt;",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_text_and_nothing_else(text):
    card = Card(title=text, lines=[("Kind", text)], readme=text)
    pieces = {
        view.conversation([text, text], is_waiting=True),
        view.candidates(response([text], [text])),
        view.about_model(card),
        view.status(text),
        view.header(text),
        view.about_page([text]),
    }
    for piece in pieces:
        read = Reader(piece)
        assert read.tags <= OWN_TAGS
        assert read.attributes <= OWN_ATTRIBUTES
    read = Reader(view.conversation([text]))
    assert read.texts == ["You", clean_turn(text)]  # whole, as typed


def test_no_invisible_character_and_no_escape_sequence_goes_out():
    page = view.conversation(HOSTILE_REPLIES) + view.candidates(response(["x"]))
    assert "\u202e" not in page
    assert "\u200f" not in page
    assert "\x1b" not in page
    assert "\u05e9\u05dc\u05d5\u05dd" in page  # a language is no attack


def test_every_candidate_is_shown_with_every_score_and_the_first_is_marked():
    texts = ["best", "second", "third"]
    one = response(["hello"], texts)
    head, *rows = Reader(view.candidates(one)).cells
    assert head == [
        "Rank",
        "Tokens",
        "Score",
        "log P(reply | context)",
        "log P(context | reply)",
        "kindness",
        "Reply",
    ]
    for rank, (row, h) in enumerate(zip(rows, one.hypotheses, strict=True), start=1):
        names = ("score", "forward_log_prob", "backward_log_prob", "kindness")
        numbers = [f"{h.scores[name]:.2f}" for name in names]
        assert row[:-1] == [str(rank), str(h.num_tokens), *numbers]
        assert row[-1].startswith(h.text)
        assert ("chosen" in row[-1]) == (rank == 1)
        assert ("cut" in row[-1]) == (not h.finished)


def test_a_score_that_one_candidate_lacks_is_a_dash():
    one = response(["hello"], ["best", "second"])
    del one.hypotheses[1].scores["kindness"]
    rows = view.candidate_rows(one.hypotheses)
    assert rows[0][5] == "0.00"
    assert rows[1][5] == "–"


def test_what_a_filter_dropped_is_counted_and_not_shown():
    one = response(["hello"], ["a curse", "nice"])
    curse, nice = one.hypotheses
    dropped = FilteredHypothesis(
        hypothesis=curse, objection=Objection(reason="phrase", detail="curse")
    )
    some = view.candidates(replace(one, hypotheses=[nice], filtered=(dropped,)))
    assert "dropped 1 candidates" in some
    none = view.candidates(
        replace(one, hypotheses=[], filtered=(dropped,), fallback="Another topic?")
    )
    assert "fixed sentence" in none
    assert "curse" not in some + none


def test_a_broken_config_of_the_run_costs_the_card_only_its_lines(tmp_path, caplog):
    run = tmp_path / "forward"
    save_model_folder(run / "best", seed=1)
    (run / "config.yaml").write_text("data: [\n")
    loaded = load_model(str(run), "forward", device=torch.device("cpu"), dtype=torch.float32)
    lines = dict(model_card(loaded).lines)
    assert "Trained" in lines
    assert "Training data" not in lines
    assert "config.yaml: expected the settings" in caplog.text


def test_the_card_says_what_the_folder_says(tmp_path):
    run = tmp_path / "mine" / "forward"
    best = save_model_folder(run / "best", seed=1)
    record = json.loads((best / CARD_FILE).read_text())
    record |= {"step": 1234, "valid_loss": 2.0}
    (best / CARD_FILE).write_text(json.dumps(record))
    (run / "config.yaml").write_text("data: {shards: /home/me/data/chats/shards}\nmodel: {init: x}")
    (best / "README.md").write_text(f"# Mine\n{MARKUP}")
    loaded = load_model(str(run), "forward", device=torch.device("cpu"), dtype=torch.float32)
    card = model_card(loaded)
    lines = dict(card.lines)
    assert card.title == "mine/forward"
    assert lines["Shape"] == "2 layers, 16 wide, 2 attention heads"
    # Counted by hand: both tables, two layers of 16 wide, the last norm; the output matrix is tied.
    block = 2 * 32 + (16 * 48 + 48) + (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16)
    table = 16 * (loaded.tokenizer.vocab_size + 5)
    assert lines["Parameters"] == f"{table + 64 * 16 + 2 * block + 32:,}"
    assert lines["Trained"] == "by this project, 1,234 steps"
    assert lines["Loss on held-out dialogues"] == "2.000 nats a token (perplexity 7.4)"
    assert lines["Training data"] == "chats/shards"  # not where it lies on the machine
    assert MARKUP in card.readme


@pytest.mark.parametrize(
    ("num_latents", "reduction", "shown"),
    [
        (3, "sum", "268.500 nats a response, all its losses together"),
        (0, "sum", "268.500 nats a response"),
        (3, "token_mean", "268.500 nats a token, all its losses together"),
    ],
)
def test_a_platos_loss_is_no_perplexity(tmp_path, num_latents, reduction, shown):
    model = tiny_plato(vocab_size=tiny_tokenizer().vocab_size, num_latents=num_latents)
    folder = save_plato_folder(tmp_path, model=model)
    record = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(record | {"valid_loss": 268.5}))
    (tmp_path / "config.yaml").write_text(f"plato: {{reduction: {reduction}}}")
    generation = GenerationConfig(max_new_tokens=12)
    config = ResponderConfig(model=str(folder), device="cpu", generation=generation)
    loaded = build_responder(config)[0].forward
    assert dict(model_card(loaded).lines)["Loss on held-out dialogues"] == shown


def test_the_loss_of_training_on_a_reward_is_called_so(tmp_path):
    best = save_model_folder(tmp_path / "rl" / "best")
    record = json.loads((best / CARD_FILE).read_text())
    (best / CARD_FILE).write_text(json.dumps(record | {"valid_loss": 280.25}))
    (tmp_path / "rl" / "config.yaml").write_text("mmi_rl: {backward_model: runs/backward}")
    loaded = load_model(str(best), "forward", device=torch.device("cpu"), dtype=torch.float32)
    shown = dict(model_card(loaded).lines)["Loss on held-out dialogues"]
    assert shown == "280.250 (minus the objective of its training)"


def test_a_model_from_elsewhere_says_that_it_is(tmp_path):
    folder = save_model_folder(tmp_path / "found", direction=None)
    loaded = load_model(str(folder), "forward", device=torch.device("cpu"), dtype=torch.float32)
    assert "elsewhere" in dict(model_card(loaded).lines)["Training"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("runs/mine-small/forward/best", "mine-small/forward"),
        ("org/model", "org/model"),
        ("/home/me/models/x", "models/x"),
        ("/", "model"),
        (str(Path("..") / "x"), "x"),
    ],
)
def test_a_models_name_does_not_tell_where_it_lies(name, shown):
    assert display_name(name) == shown


def test_the_notices_say_what_is_stored_and_filtered_here_and_not_elsewhere():
    plain = " ".join(notices(WebConfig()))
    assert "Nothing you type is stored" in plain
    assert "No filter is at work" in plain
    assert "1,000 characters" in plain
    stored = " ".join(notices(WebConfig(transcript="talks.jsonl")))
    assert "What you write is stored" in stored
    assert "Nothing you type is stored" not in stored
    assert "draw on" not in plain
    given = " ".join(notices(WebConfig(knowledge=("I like\ntea.",))))
    assert "sentences to draw on" in given
    assert "I like tea." in given
    filtered = " ".join(notices(WebConfig(filter=FilterConfig(phrases="list.txt"))))
    assert "No filter is a guarantee" in filtered
    assert "candidates that a filter dropped" in filtered  # their texts are logged
    assert "wrong, rude or offensive" in HEADLINE
    assert "conversations between people" in HEADLINE  # true of books and films too
