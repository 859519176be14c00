"""What may not be the reply: phrases, classifiers, and what is said instead."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support_decode import save_model_folder
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from dialogpt.command_line import UserError
from dialogpt.config.decoding import DecodeConfig, FilterConfig, GenerationConfig
from dialogpt.decode.filters import ClassifierFilter, Objection, PhraseFilter, sift
from dialogpt.decode.respond import Responder, build_responder
from dialogpt.models.text_classifier import TextClassifier
from dialogpt.records import Hypothesis

CPU = torch.device("cpu")


def found(phrase: str, text: str) -> bool:
    (objection,) = PhraseFilter([phrase]).objections([text])
    assert objection is None or objection.reason == "phrase"
    return objection is not None


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("idiot", "you idiot!"),
        ("idiot", "IDIOT"),
        ("Idiot", "the idiot's hat"),
        ("idiot", "_idiot_"),  # how markdown stresses a word
        ("shut up", "oh  shut \t up."),
        ("shut\u00a0up", "shut up"),
        ("don't", "I don’t"),
        ("idiot", "ｉｄｉｏｔ"),  # NFKC: wide letters
        ("ﬁnd me", "find me"),
        ("idiot", "𝐈𝐃𝐈𝐎𝐓"),  # capitals only once they are plain letters
        ("ǰ", "ǰ"),  # folding takes it apart
        ("café", "CAFE\u0301"),
        ("strasse", "Straße"),
        ("idiot", "id\u200diot, id\u00adiot"),
        *(("idiot", f"id{mark}iot") for mark in "\u034f\u115f\u17b4\u180c\u3164\uffa0\U000e0101"),
        ("f***", "what the f***?"),
        (":-(", "well:-("),
        ("👍🏽", "ok👍🏽ok"),
        ("笨蛋", "你是笨蛋吗"),  # no blanks between words
        ("कुत्ता", "यह कुत्ता है"),
        ("a.b", "say a.b now"),  # no pattern
    ],
)
def test_a_phrase_is_found_whatever_its_case_form_and_blanks(phrase: str, text: str) -> None:
    assert found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("ass", "class, assess, grass"),
        ("ass", "ass\u0301 as\u0301s"),  # another letter
        ("ass", "ass1"),
        ("shut up", "shutup"),
        ("shut up", "shut it up"),
        ("shut up", "shut"),
        ("कुत", "कुत्ता"),
        ("a.b", "aXb"),
        ("f***", "f**"),
    ],
)
def test_a_phrase_is_not_found_within_a_word_or_across_others(phrase: str, text: str) -> None:
    assert not found(phrase, text)


words = st.text(alphabet="abé漢'", min_size=1, max_size=4)


@given(texts=st.lists(words, max_size=8), phrases=st.lists(words, min_size=1, max_size=30))
def test_many_phrases_find_what_a_pattern_of_each_finds(
    texts: list[str], phrases: list[str]
) -> None:
    text = " ".join(texts)
    patterns = {}
    for phrase in phrases:
        inner = r"\s*".join(re.escape(piece) for piece in re.findall("[abé]+|.", phrase))
        before = "(?<![abé])" if phrase[0] in "abé" else ""
        behind = "(?![abé])" if phrase[-1] in "abé" else ""
        patterns[phrase] = re.compile(before + inner + behind)
    (objection,) = PhraseFilter(phrases).objections([text])
    matching = {phrase for phrase, pattern in patterns.items() if pattern.search(text)}
    assert (objection is not None) == bool(matching)
    assert objection is None or objection.detail in matching


def test_a_file_of_phrases_has_comments_and_a_mark_of_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_bytes("\ufeffidiot\r\n# not this one\n\n  shut up  \nk\u00e4se\n".encode())
    objections = PhraseFilter.from_file(path).objections(
        ["not this one", "an IDIOT", "shut up", "Käse!"]
    )
    assert [o and o.detail for o in objections] == [None, "idiot", "shut up", "käse"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a UTF-8 file, found nothing"),
        (b"# only a comment\n", "expected a phrase a line, found none"),
        (b"fine\n\xff\n", "txt:2: expected UTF-8, found the byte 0xff"),
        ("fine\n\u200b\n".encode(), "txt:2: expected a phrase, found nothing visible"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "phrases.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        PhraseFilter.from_file(path)


def hypotheses(*texts: str) -> list[Hypothesis]:
    return [
        Hypothesis(text=text, token_ids=[1], finished=True, scores={"score": -float(n)})
        for n, text in enumerate(texts)
    ]


class LongerThan:
    """A filter of one's own."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.asked: list[str] = []

    def objections(self, texts: Sequence[str]) -> list[Objection | None]:
        self.asked += texts
        return [
            Objection(reason="long", detail=str(len(t))) if len(t) > self.limit else None
            for t in texts
        ]


def test_the_next_best_is_the_reply_and_each_drop_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    candidates = hypotheses("you idiot", "", "fine", "a rather long one", "ok")
    long = LongerThan(10)
    kept, dropped = sift(candidates, [PhraseFilter(["idiot"]), long], context_index=7)
    assert [h.text for h in kept] == ["fine", "ok"]
    assert [(d.hypothesis.text, d.objection.reason) for d in dropped] == [
        ("you idiot", "phrase"),
        ("", "empty"),
        ("a rather long one", "long"),
    ]
    assert long.asked == ["fine", "a rather long one", "ok"]
    assert caplog.messages[0] == "context 7: candidate 1 dropped (phrase: idiot): 'you idiot'"
    assert len(caplog.messages) == 3


def test_without_a_filter_nothing_is_dropped() -> None:
    candidates = hypotheses("", "you idiot")
    assert sift(candidates, [], context_index=0) == (candidates, [])


@pytest.fixture(scope="module")
def responder(tmp_path_factory: pytest.TempPathFactory) -> Responder:
    folder = save_model_folder(
        tmp_path_factory.mktemp("models") / "forward", seed=1, max_seq_len=128, num_positions=128
    )
    generation = GenerationConfig(num_samples=6, max_new_tokens=12)
    config = DecodeConfig(model=str(folder), device="cpu", generation=generation)
    return build_responder(config)[0]


def test_the_reply_is_the_best_that_passes_and_the_rest_keeps_its_scores(
    responder: Responder,
) -> None:
    plain = responder.respond(["the inn"])
    best = plain.hypotheses[0]
    others = [h for h in plain.hypotheses if h.text != best.text]

    class NotTheBest:
        def objections(self, texts: Sequence[str]) -> list[Objection | None]:
            objection = Objection(reason="best", detail="too good")
            return [objection if text == best.text else None for text in texts]

    response = replace(responder, filters=(NotTheBest(),)).respond(["the inn"])
    assert response.text == others[0].text != best.text
    assert response.hypotheses == others
    assert response.filtered[0].hypothesis == best
    record = response.as_record()
    assert (record["response"], record["is_fallback"]) == (others[0].text, False)
    assert record["filtered"][0] == {
        "text": best.text,
        "num_tokens": best.num_tokens,
        "finished": best.finished,
        "scores": best.scores,
        "reason": "best",
        "detail": "too good",
    }


def test_where_nothing_is_left_the_fallback_is_the_reply_and_the_record_says_so(
    responder: Responder,
) -> None:
    nothing = replace(responder, filters=(LongerThan(-1),), fallback="Ask me another.")
    response = nothing.respond(["the inn"])
    assert response.text == "Ask me another."
    record = response.as_record()
    assert record["is_fallback"] is True
    assert record["hypotheses"] == []
    assert len(record["filtered"]) == 6


def test_the_filter_of_the_documentation_drops_links(
    responder: Responder, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "safety.md").read_text(encoding="utf-8")
    (code,) = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    names: dict[str, Any] = {}
    exec(code.replace("runs/sample-demo/forward", responder.forward.name), names)
    assert capsys.readouterr().out.strip()  # the reply
    (own,) = names["responder"].filters
    kept, dropped = sift(hypotheses("see https://x.y", "see there"), [own], context_index=0)
    assert [h.text for h in kept] == ["see there"]
    assert dropped[0].objection == Objection(reason="link", detail="see https://x.y")


def save_classifier(folder: Path, *, words: Sequence[str], **config: object) -> Path:
    """A BERT that says how much the word "idiot" there is in a text, and nothing else."""
    folder.mkdir()
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(vocab),
            intermediate_size=16,
            max_position_embeddings=16,
            initializer_range=0.7,
            id2label={0: "fine", 1: "toxic"},
            **sizes,
            **config,
        )
    )
    model.save_pretrained(folder)
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    return folder


TEXTS = ["you idiot", "nice day", "you", "idiot " * 40, "[SEP] you [PAD] day"]


@pytest.mark.parametrize("kind", ["single_label_classification", "multi_label_classification"])
def test_the_classifier_gives_the_probability_of_its_label(tmp_path: Path, kind: str) -> None:
    words = ["you", "idiot", "nice", "day"]
    folder = save_classifier(tmp_path / "classifier", words=words, problem_type=kind)
    classifier = TextClassifier.load(str(folder), label="Toxic", device=CPU)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    vocab = {word: index for index, word in enumerate(["you", "idiot", "nice", "day"], start=5)}
    unknown = [1]
    # By hand: text is data, so what is typed like a control token is unknown pieces.
    pieces = {word: [index] for word, index in vocab.items()}
    pieces |= {"[SEP]": unknown * 3, "[PAD]": unknown * 3}
    for text, probability in zip(TEXTS, classifier.probabilities(TEXTS), strict=True):
        ids = [piece for word in text.split() for piece in pieces[word]][:14]
        with torch.no_grad():
            logits = model(torch.tensor([[2, *ids, 3]])).logits[0].double()
        each = logits.softmax(-1) if kind.startswith("single") else logits.sigmoid()
        assert probability == pytest.approx(float(each[1]), abs=1e-5)


def test_the_classifier_drops_from_its_threshold_on(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "classifier", words=["you", "idiot", "nice", "day"])
    classifier = TextClassifier.load(str(folder), label="toxic", device=CPU)
    probabilities = classifier.probabilities(TEXTS[:3])
    assert len(set(probabilities)) == 3
    threshold = sorted(probabilities)[1]
    objections = ClassifierFilter(classifier, threshold=threshold).objections(TEXTS[:3])
    for probability, objection in zip(probabilities, objections, strict=True):
        assert (objection is not None) == (probability >= threshold)
        if objection is not None:
            assert objection == Objection(reason="classifier toxic", detail=f"{probability:.4f}")


def test_what_is_no_classifier_or_has_no_such_label_is_an_error(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "classifier", words=["you"])
    with pytest.raises(UserError, match=r"expected one of fine, toxic, .* found 'rude'"):
        TextClassifier.load(str(folder), label="rude", device=CPU)
    language_model = save_model_folder(tmp_path / "gpt2")
    with pytest.raises(UserError, match=r"the weights lack score\.weight"):
        TextClassifier.load(str(language_model), label="LABEL_0", device=CPU)
    (folder / "model.safetensors").unlink()
    torch.save({"x": torch.ones(1)}, folder / "pytorch_model.bin")  # pickle is not read
    with pytest.raises(UserError, match="loading failed"):
        TextClassifier.load(str(folder), label="toxic", device=CPU)


def test_phrases_and_classifier_come_from_the_configuration(
    responder: Responder, tmp_path: Path
) -> None:
    plain = responder.respond(["the inn"])
    (tmp_path / "phrases.txt").write_text(plain.text.split()[0] + "\n", encoding="utf-8")
    folder = save_classifier(tmp_path / "classifier", words=["you"])
    filter_config = FilterConfig(
        phrases=str(tmp_path / "phrases.txt"),
        classifier=str(folder),
        classifier_label="toxic",
        classifier_threshold=1e-6,
        fallback="Another  topic?",
    )
    config = DecodeConfig(
        model=responder.forward.name,
        device="cpu",
        generation=responder.generation,
        filter=filter_config,
    )
    filtering, settings = build_responder(config)
    assert settings["filter"]["classifier_label"] == "toxic"
    response = filtering.respond(["the inn"])
    reasons = [d.objection.reason for d in response.filtered]
    assert reasons[0] == "phrase"
    assert set(reasons) == {"phrase", "classifier toxic"}
    assert response.text == "Another topic?"


def test_filter_options_that_do_not_go_together_are_refused() -> None:
    for options, message in [
        ({"classifier": "some/model"}, "given both or not at all"),
        ({"classifier_threshold": 0.0}, r"must lie in \(0, 1\]"),
        ({"fallback": " \u200b"}, "must hold readable text"),
    ]:
        with pytest.raises(ValueError, match=message):
            FilterConfig(**options)
