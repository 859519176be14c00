from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dialogpt.decode.display import WIDTH, format_line, format_table, num_columns
from dialogpt.decode.filters import FilteredHypothesis, Objection
from dialogpt.decode.response import Response
from dialogpt.records import Hypothesis


def response(turns: list[str], replies: list[str], *, mmi: bool = True) -> Response:
    hypotheses = [
        Hypothesis(
            text=text,
            token_ids=[1],
            finished=rank > 0,
            scores={"forward_log_prob": -1.25 - rank, "score": -200.5 - rank}
            | ({"backward_log_prob": -200.5 - rank} if mmi else {}),
        )
        for rank, text in enumerate(replies)
    ]
    return Response(context=tuple(turns), hypotheses=hypotheses, num_turns_dropped=2)


def test_the_table_shows_turns_ranks_and_scores_the_reply_marked() -> None:
    table = format_table(response(["Hi!", "Yo."], ["fine", "ok"]), title="Context 1 of 5")
    assert table.splitlines() == [
        "Context 1 of 5 (2 oldest turns had no room)",
        "  turn 1: Hi!",
        "  turn 2: Yo.",
        "",
        "  rank     score   forward  backward  reply (log-probabilities in nats)",
        ">    1   -200.50     -1.25   -200.50  fine [cut]",
        "     2   -201.50     -2.25   -201.50  ok",
    ]


def test_own_scores_stand_under_each_reply_and_dropped_ones_below_all() -> None:
    shown = response(["Hi!"], ["you idiot", "fine"])
    for n, hypothesis in enumerate(shown.hypotheses):
        hypothesis.scores |= {"kindness": 0.123456, "length_normalized_log_prob": -1.5 - n}
        hypothesis.scores["score"] = 1.25e9
    dropped = FilteredHypothesis(
        hypothesis=shown.hypotheses[0], objection=Objection(reason="phrase", detail="idiot")
    )
    one = replace(shown, hypotheses=shown.hypotheses[1:], filtered=(dropped,))
    assert format_table(one, title="T").split("\n\n")[1].splitlines() == [
        "  rank     score   forward  backward by length  reply (log-probabilities in nats)",
        ">    1   1.2e+09     -2.25   -201.50     -2.50  fine",
        "        kindness 0.1235",
        "     x   1.2e+09     -1.25   -200.50     -1.50  you idiot [cut]",
        "        kindness 0.1235",
        "        dropped: phrase (idiot)",
    ]
    none = replace(one, hypotheses=[], fallback="Ask me another.")
    reply, *others = format_table(none, title="T").split("nats)\n")[1].splitlines()
    assert reply == ">       Ask me another. [fallback: no hypothesis was left]"
    assert others[0].endswith("  you idiot [cut]")
    assert format_line(none) == "Hi! -> Ask me another."


def test_without_a_backward_model_there_is_no_such_column() -> None:
    table = format_table(response(["Hi!"], ["fine"], mmi=False), title="Context 1")
    assert "backward" not in table
    assert "forward" in table


# Blanks, long words, letters of two columns, accents of none, and what a terminal obeys.
texts = st.text(alphabet=" abcdef漢字é\u0301👍\x1b[]31m\n\u202e\x07", max_size=300)


@given(
    turns=st.lists(texts, min_size=1, max_size=3),
    replies=st.lists(texts, min_size=1),
    name=texts,
)
def test_every_line_fits_and_nothing_steers_the_terminal(
    turns: list[str], replies: list[str], name: str
) -> None:
    shown = response(turns, replies)
    for hypothesis in shown.hypotheses:
        hypothesis.scores[name] = 1.0
    objection = Objection(reason=name, detail=replies[0])
    dropped = FilteredHypothesis(hypothesis=shown.hypotheses[0], objection=objection)
    shown = replace(shown, filtered=(dropped,))
    for text in (format_table(shown, title="Context 1"), format_line(shown)):
        for line in text.split("\n"):
            assert num_columns(line) <= WIDTH
            assert line.isprintable()


@given(reply=st.text(alphabet=" abc漢字", max_size=400))
def test_wrapping_loses_no_letter(reply: str) -> None:
    for text in (
        format_table(response(["x"], [reply], mmi=False), title="T").split("nats)\n")[1],
        format_line(response(["x"], [reply])),
    ):
        letters = [c for c in text if c in "abc漢字" and c.strip()]
        wanted = [c for c in reply if c.strip()]
        # "cut" stands behind the reply in the table, with one of the letters.
        assert letters[: len(wanted)] == wanted


def test_a_turn_of_any_length_is_shown_shortened() -> None:
    turns = ["a" * 500, "b" * 100_500]
    line = format_line(response(turns, ["fine"]))
    table = format_table(response(turns, ["c" * 501]), title="T")
    for text in (line, table):
        assert "[and 100,000 more characters]" in " ".join(text.split())
        assert "b" * 50 in text
        assert text.count("b") < 510
    assert table.count("more characters") == 1
    assert table.count("c") > 501  # replies are whole


def test_wide_letters_take_two_columns_and_marks_none() -> None:
    assert [num_columns(text) for text in ("abc", "漢字", "e\u0301", "")] == [3, 4, 1, 0]
