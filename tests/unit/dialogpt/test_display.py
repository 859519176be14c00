from hypothesis import given
from hypothesis import strategies as st

from dialogpt.decode.display import WIDTH, format_line, format_table, num_columns
from dialogpt.decode.respond import Response
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


def test_without_a_backward_model_there_is_no_such_column() -> None:
    table = format_table(response(["Hi!"], ["fine"], mmi=False), title="Context 1")
    assert "backward" not in table
    assert "forward" in table


# Blanks, long words, letters of two columns, accents of none, and what a terminal obeys.
texts = st.text(alphabet=" abcdef漢字é\u0301👍\x1b[]31m\n\u202e\x07", max_size=300)


@given(turns=st.lists(texts, min_size=1, max_size=3), replies=st.lists(texts, min_size=1))
def test_every_line_fits_and_nothing_steers_the_terminal(
    turns: list[str], replies: list[str]
) -> None:
    shown = response(turns, replies)
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


def test_wide_letters_take_two_columns_and_marks_none() -> None:
    assert [num_columns(text) for text in ("abc", "漢字", "e\u0301", "")] == [3, 4, 1, 0]
