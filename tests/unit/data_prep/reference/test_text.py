import pyarrow as pa
import pytest

from data_prep import native
from data_prep.reference.text import TurnTokens, num_words, turn_of, turn_tokens


@pytest.fixture(autouse=True, params=["compiled", "python"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds by either route."""
    if request.param == "python":
        monkeypatch.setattr(native, "compiled", None)
    elif native.compiled is None:
        pytest.skip("nothing was compiled: there was no C compiler at installation")


def turns(*bodies: str) -> TurnTokens:
    return turn_tokens(pa.array(bodies, pa.large_string()))


# Made with gpt_norm_sentence of the release's src/reddit.py and NLTK 3.10.4.
TOKENS = {
    "words and marks part": ("Well, yes!! (no)", "Well , yes ! ! ( no )"),
    "apostrophes stay in words": ("don't dogs' 'tis a''b", "don't dogs ' ' tis a''b"),
    "what is not of the alphabet parts words": ('caf\u00e9 don\u2019t "x-y"', "caf don t x y"),
    "curly quotes are of the alphabet": ("\u201cso\u201d", "\u201c so \u201d"),
    "case stays": ("NASA and Nasa", "NASA and Nasa"),
    "numbers keep one inner mark": ("3.14 1,000,000 18:30", "3.14 1,000 , 000 18:30"),
    "eight has eyes": ("8:30 8) 8pm 8days", "8: 30 8) 8p m 8d ays"),
    "faces stay whole": (":) :( (: :D do: po8 d'8", ":) :( (: :D do: po8 d'8"),
    "a nose needs a mouth": (":o :o) :' :']", ": o :o) : ' :']"),
    "hosts stay whole": ("www.x.com/a example.co.uk", "www.x.com a example.co.uk"),
    "a missing blank makes a host": ("end.Next i.e. U.S.A", "end.Next i . e . U . S . A"),
    "the last label that can be a domain closes it": ("a.bc.d x.y2.zz.3", "a.bc . d x.y2.zz . 3"),
    "no domain is longer than 13": (f"a.{'b' * 13} a.{'c' * 14}", f"a.{'b' * 13} a . {'c' * 14}"),
    "phone numbers stay whole": ("call 555 1234x (555) 555.1234", "call 555 1234 x (555) 555.1234"),
    "phone numbers reach over blanks": ("in 1999 20001", "in 1999 2000 1"),
    "digits part from three letters, not from two": ("html5 mp3 abc3def", "html 5 mp3 abc 3def"),
    "dots": ("so... a..b . . c . d", "so ... a .. b . . c . d"),
    "marks stand at most three times in a row": ("what!!!!!! ......", "what ! ! ! ..."),
    "an address cuts its word": ("see (http://x.com/y) ok", "see ( __url__ ok"),
    "the word http is an address": ("the HTTP protocol", "the __url__ protocol"),
    "URL is a name, and so it is within words": ("CURLS URL", "C__url__S __url__"),
    "behind a letter it loses its end": ("xURL", "x__url __"),
    "two in a row share an underscore": ("URLURL", "__url___url__"),
    "MENTION is a name": ("MENTION me", "__mention__ me"),
    "tags go": ("a #tag b \\#c d#e", "a b d e"),
    "abbreviations are spelled out": ("b/c j/k w/o W/", "because just kidding without W"),
    "even within words": ("show/hide", "showithhide"),
    "backslashes join": ("b\\/c a\\b \\", "because ab"),
    "Unicode's blanks part words": ("a\u00a0b\u2028c\x1cd\u3000#e", "a b c d"),
    "nothing may be left": ("\u65e5\u672c \u8a9e", ""),
    "the author's own names": ("__url__ ____mention____", "__url__ __mention__"),
    "a dotted I moves the cut": ("\u0130\u0130http://x", "ht __url__"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOKENS)
def test_bodies_become_the_tokens_of_the_release(case: str) -> None:
    body, expected = TOKENS[case]
    assert turns(body).texts.to_pylist() == [expected]
    assert turn_of(body) == expected


def test_tokens_are_counted_and_measured_in_characters() -> None:
    found = turns("one three.", "", "\u201c" * 3 + "x", "call 555 1234 . . now")
    assert found.num_tokens.tolist() == [3, 0, 4, 6]
    assert found.longest_tokens.tolist() == [5, 0, 1, 4]


def test_facts_are_those_of_the_turn() -> None:
    found = turns("a http b", "a [b", "a) b", "aABCDE b", "ABCD E", "no no no", "no no", "ha!!!")
    assert found.has_url.tolist() == [True, *[False] * 7]
    assert found.has_bracket.tolist() == [False, True, True, *[False] * 5]
    assert found.has_capitals.tolist() == [*[False] * 3, True, *[False] * 4]
    assert found.repeats(with_weight=False).tolist() == [*[False] * 5, True, False, True]


def test_the_name_of_an_address_that_lost_its_end_is_none() -> None:
    assert turns("xURL", "URLs").has_url.tolist() == [False, True]


def test_the_weight_counts_as_a_token_that_is_repeated() -> None:
    found = turns("1.0 1.0 x", "1.0 x 1.0 1.0", "1.0 1.0 1.0", "x 1.0 1.0")
    assert found.repeats(with_weight=True).tolist() == [True, False, True, False]
    assert found.repeats(with_weight=False).tolist() == [False, False, True, False]


def test_words_are_what_blanks_separate_once_backslashes_are_gone() -> None:
    assert num_words(" a \\ b\u00a0c \\\\") == 3
    assert num_words("\\ \n") == 0


def test_no_character_hides_an_address_but_those_of_its_letters() -> None:
    """The compiled loop looks for "http" byte by byte, the release in lower case."""
    lowered = {chr(code) for code in range(0x80, 0x110000) if set("htp") & set(chr(code).lower())}
    assert not lowered
    longer = [chr(code) for code in range(0x80, 0x110000) if len(chr(code).lower()) != 1]
    assert longer == ["\u0130"]


def test_every_blank_of_python_parts_words() -> None:
    blanks = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    others = [
        "\u200b",
        "\u180e",
        "\u2060",
        "\ufeff",
        "\x00",
        "\x08",
        "\x0e",
        "\x1b",
        "\x86",
        "\u200c",
    ]
    tags = [f"a{character}#b c" for character in [*blanks, *others]]
    assert turns(*tags).texts.to_pylist() == ["a c"] * len(blanks) + ["a b c"] * len(others)


def test_words_of_any_length_stay_whole() -> None:
    words = [("abcdefgh" * 9)[:length] for length in range(1, 70)]
    assert turns(" ".join(words), *words).texts.to_pylist() == [" ".join(words), *words]
