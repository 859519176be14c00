import errno
import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support_decode import save_model_folder
from support_plato_decode import save_plato_folder
from support_web import BlockingReplies, FixedReplies, choice, response

from dialogpt.command_line import UserError, as_plain
from dialogpt.config.decoding import GenerationConfig
from dialogpt.config.web import WebConfig
from dialogpt.web.limits import RefusalError
from dialogpt.web.models import load_page_models
from dialogpt.web.talk import Service, Talk
from dialogpt.web.transcript import transcript_writer

CONFIG = WebConfig(max_message_chars=50, messages_per_minute=5, max_turns=5, max_waiting=1)
SHORT = GenerationConfig(num_samples=4, max_new_tokens=12)


def test_a_talk_grows_by_a_message_and_its_reply_and_forgets_whole_exchanges():
    replies = FixedReplies(["fine"])
    service, talk = Service(CONFIG, replies), Talk()
    for number in range(4):
        talk, _ = service.answer(talk, f"message {number}", choice(CONFIG))
        assert len(talk.turns) <= CONFIG.max_turns
        assert talk.turns[-2:] == (f"message {number}", "fine")
    assert talk.turns == ("message 2", "fine", "message 3", "fine")
    assert [index for _, index in replies.asked] == [0, 1, 2, 3]
    assert talk.without_last_exchange().turns == ("message 2", "fine")
    assert talk.without_last_exchange().num_draws == 4


def test_the_length_is_looked_at_before_anything_else(monkeypatch):
    service = Service(CONFIG, FixedReplies())
    assert service.accept("x" * 50, client="a") == "x" * 50
    monkeypatch.setattr("dialogpt.web.talk.clean_turn", lambda text: pytest.fail("was cleaned"))
    for _ in range(20):  # and it does not use up the minute
        with pytest.raises(RefusalError, match=r"100,000 characters; at most 50"):
            service.accept("x" * 100_000, client="a")


@pytest.mark.parametrize("message", ["", "  \n", "\u202e\u200b\x1b\x00"])
def test_a_message_that_nobody_can_read_is_refused(message):
    with pytest.raises(RefusalError, match="nothing readable"):
        Service(CONFIG, FixedReplies()).accept(message, client="a")


@pytest.mark.parametrize("message", [None, 5, ["a"], {"text": "a"}])
def test_what_is_no_text_is_refused(message):
    with pytest.raises(RefusalError, match="text"):
        Service(CONFIG, FixedReplies()).accept(message, client="a")


def test_a_message_is_cleaned_and_one_too_many_is_refused():
    service = Service(CONFIG, FixedReplies())
    for _ in range(CONFIG.messages_per_minute):
        assert service.accept(" a\x1b[2Jb \u202e c\n", client="a") == "a[2Jb c"
    with pytest.raises(RefusalError, match="5 a minute"):
        service.accept("hello", client="a")
    assert service.accept("hello", client="b")


def test_one_call_at_a_time_reaches_the_model_and_too_many_are_told_so():
    replies = BlockingReplies()
    service = Service(CONFIG, replies)
    answered = []

    def ask() -> None:
        answered.append(service.answer(Talk(), "hello", choice(CONFIG))[0].turns)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert replies.entered.acquire(timeout=30)
    while service._gate._num_inside < 2:
        pass
    with pytest.raises(RefusalError, match="busy"):
        service.answer(Talk(), "hello", choice(CONFIG))
    replies.released.set()
    for thread in threads:
        thread.join(timeout=30)
    assert answered == [("hello", "done")] * 2
    assert replies.most_inside == 1


@pytest.mark.parametrize("error", [UserError("secret words"), ValueError("secret words")])
def test_a_failure_is_one_visitors_and_quotes_nothing(error, caplog):
    class Failing(FixedReplies):
        def respond(self, context, *, context_index=0):
            raise error

    service = Service(CONFIG, Failing())
    for _ in range(3):  # the gate opens again each time
        with pytest.raises(RefusalError) as refusal:
            service.answer(Talk(), "hello", choice(CONFIG))
        assert "secret" not in str(refusal.value)
    assert "no reply" in caplog.text
    if isinstance(error, ValueError):
        assert "secret" not in caplog.text
        assert "in respond" in caplog.text  # where it happened


def test_the_log_has_numbers_and_no_text(caplog):
    caplog.set_level(logging.INFO)
    Service(CONFIG, FixedReplies(["my reply"])).answer(Talk(), "my message", choice(CONFIG))
    assert "10 characters, turn 1: 1 candidates" in caplog.text
    assert "my " not in caplog.text


def test_an_unreadable_reply_is_no_reply():
    with pytest.raises(RefusalError, match="nothing to say"):
        Service(CONFIG, FixedReplies([""])).answer(Talk(), "hello", choice(CONFIG))


def test_a_transcript_has_every_candidate_and_grows(tmp_path):
    path = tmp_path / "new" / "talks.jsonl"
    for message in ("hello", "\u05e9\u05dc\u05d5\u05dd"):
        keep = transcript_writer(path, settings=lambda choice: {"top_k": choice.top_k})
        Service(CONFIG, FixedReplies(), keep=keep).answer(Talk(), message, choice(CONFIG))
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["context"] for line in lines] == [["hello"], ["\u05e9\u05dc\u05d5\u05dd"]]
    assert lines[0]["hypotheses"] == response(["hello"]).as_record()["hypotheses"]
    assert lines[0]["settings"] == {"top_k": CONFIG.generation.top_k}
    with pytest.raises(UserError, match="transcript"):
        transcript_writer(tmp_path, settings=lambda choice: {})


def test_what_cannot_be_stored_is_not_answered(caplog):
    def keep(response, choice):
        raise OSError(errno.ENOSPC, "No space left on device")

    service, talk = Service(CONFIG, FixedReplies(), keep=keep), Talk(turns=("a", "b"), num_draws=1)
    for _ in range(2):  # the gate opens again
        with pytest.raises(RefusalError, match="cannot store conversations at the moment"):
            service.answer(talk, "my secret", choice(CONFIG))
    assert "No space left" in caplog.text
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with forward and backward."""
    folder = tmp_path_factory.mktemp("pair")
    save_model_folder(folder / "forward", seed=1)
    save_model_folder(folder / "backward", direction="backward", seed=2)
    return folder


def page_config(pair: Path) -> WebConfig:
    return WebConfig(model=str(pair / "forward"), device="cpu", generation=SHORT)


def test_sliders_change_the_reply_and_the_weight_changes_the_score(pair):
    models = load_page_models(page_config(pair))
    assert models.mmi is not None  # found beside the forward model

    def ask(**changes):
        return models.replies(choice(models.config, **changes)).respond(["the inn", "out"])

    for weight in (0.0, 0.3, 1.0):
        for h in ask(mmi=True, mmi_weight=weight).hypotheses:
            forward, backward = h.scores["forward_log_prob"], h.scores["backward_log_prob"]
            expected = (1 - weight) * forward + weight * backward
            assert h.scores["score"] == pytest.approx(expected, abs=1e-4)
    plain = ask(mmi=False)
    assert {name for h in plain.hypotheses for name in h.scores} == {"forward_log_prob", "score"}
    assert len(ask(num_samples=2).hypotheses) == 2
    assert all(len(h.token_ids) <= 3 for h in ask(max_new_tokens=3).hypotheses)


def test_a_transcript_has_the_settings_that_each_reply_was_made_with(pair, tmp_path):
    config = replace(page_config(pair), transcript=str(tmp_path / "talks.jsonl"))
    models = load_page_models(config)
    keep = transcript_writer(Path(config.transcript), settings=models.settings_of)
    service = Service(config, models.replies, keep=keep)
    choices = [
        choice(config, mmi=True, mmi_weight=0.3, num_samples=2, temperature=0.5),
        choice(config, mmi=False, top_k=7, top_p=0.8, max_new_tokens=3),
    ]
    for chosen in choices:
        service.answer(Talk(), "the inn", chosen)
    lines = [json.loads(line) for line in Path(config.transcript).read_text("utf-8").splitlines()]
    for line, chosen in zip(lines, choices, strict=True):
        settings = line["settings"]
        assert settings["generation"] == as_plain(chosen.generation(config.generation))
        assert len(line["hypotheses"]) == settings["generation"]["num_samples"]
        for h in line["hypotheses"]:  # the weights are those that ranked
            total = sum(weight * h["scores"][name] for name, weight in settings["weights"].items())
            assert h["scores"]["score"] == pytest.approx(total, abs=1e-4)
    with_mmi, without = (line["settings"] for line in lines)
    assert with_mmi["mmi_options"]["weight"] == 0.3
    assert with_mmi["backward_model"].endswith("backward")
    assert not {"mmi_options", "backward_model"} & set(without)
    assert with_mmi["model"] == without["model"] == str(pair / "forward")


def test_a_backward_model_nobody_asked_for_may_be_unusable(pair, tmp_path, caplog):
    save_model_folder(tmp_path / "forward", seed=1)
    (tmp_path / "backward").mkdir()  # not trained yet
    config = replace(page_config(pair), model=str(tmp_path / "forward"))
    assert load_page_models(config).mmi is None
    assert "without MMI" in caplog.text
    with pytest.raises(UserError, match="backward"):
        load_page_models(replace(config, mmi=True))


def test_every_reply_draws_on_the_operators_sentences_and_a_stored_one_says_so(tmp_path):
    config = WebConfig(knowledge=(" I like\ntea. ", "I have dogs."))
    replies = FixedReplies(["fine"])
    service, talk = Service(config, replies), Talk()
    for _ in range(2):
        talk, _ = service.answer(talk, "hello", choice(config))
    assert replies.knowledge == [("I like tea.", "I have dogs.")] * 2
    assert talk.turns == ("hello", "fine") * 2

    folder = save_plato_folder(tmp_path / "plato")
    config = replace(config, model=str(folder), device="cpu", generation=SHORT)
    models = load_page_models(config)
    assert models.settings_of(choice(models.config))["knowledge"] == list(config.knowledge)


def test_sentences_for_a_model_that_reads_none_are_refused(pair):
    with pytest.raises(UserError, match=r"knowledge: .* takes none"):
        load_page_models(replace(page_config(pair), knowledge=("I like tea.",)))


def test_sentences_without_readable_text_are_refused():
    with pytest.raises(ValueError, match="nothing readable in sentence 2 of 2"):
        WebConfig(knowledge=("I like tea.", "\u200b"))
