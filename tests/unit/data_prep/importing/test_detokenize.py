import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_importing import REAL_SETS, needs_real_sets

from data_prep.importing.detokenize import detokenize

DOCS = Path(__file__).parents[4] / "docs" / "importing.md"
DOCUMENTED = re.findall(r"^\| `(.+)` \| `(.+)` \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)

TOKENS = st.one_of(
    st.sampled_from(["i", "don", "ca", "n't", "O", "Ve", "s", "ll", "You", "minutes", "right.But"]),
    st.sampled_from(["'", "’", "‘", "`", '"', "“", "”", "(", ")", "[", "]", "/", "$", "%", "-"]),
    st.sampled_from([".", ",", "!", "?", ";", ":", "...", "。", "、", "7", "500", "30", "1886"]),
    st.text(max_size=4),
)


@pytest.mark.parametrize(("published", "written"), DOCUMENTED)
def test_the_examples_of_the_docs_are_what_comes_out(published, written):
    assert detokenize(published) == written


def test_the_docs_have_examples():
    assert len(DOCUMENTED) >= 7


@pytest.mark.parametrize(
    ("published", "written"),
    [
        ("by April 1886 , 250,000 workers", "by April 1886, 250,000 workers"),
        ("area code 413 , 447-9626 .", "area code 413, 447-9626."),
        ("it's 9 . 5 % .", "it's 9.5%."),
        ("There is one . 5 blocks away .", "There is one. 5 blocks away."),
        ("IT ’ S LATE", "IT'S LATE"),
        ("don 't you ?", "don't you?"),
        ('one " odd mark', 'one " odd mark'),
        ("the ' 20s", "the ' 20s"),
        ("Ma ’ am", "Ma'am"),
        ("wait for me 。", "wait for me."),
        ("my ex - boyfriend :(", "my ex - boyfriend :("),
        ("", ""),
    ],
)
def test_what_looks_alike_is_told_apart(published, written):
    assert detokenize(published) == written


def skeleton(text):
    """A text without what detokenising may change."""
    text = text.replace("。", ".").replace("、", ",")
    return "".join(re.sub("[’‘′`]", "'", text).lower().split())


@given(st.lists(TOKENS).map(" ".join))
def test_only_blanks_apostrophes_and_single_capitals_change(text):
    assert skeleton(detokenize(text)) == skeleton(text)


@pytest.mark.real_data
@needs_real_sets
def test_persona_chat_comes_out_as_it_is_published_in_written_form():
    folder = REAL_SETS / "personachat"
    with gzip.open(folder / "personachat_valid.jsonl.gz", "rt", encoding="utf-8") as lines:
        written = [text for line in lines for text in json.loads(line)["utterances"]]
    with gzip.open(folder / "valid_both_original_no_cands.txt.gz", "rt", encoding="utf-8") as lines:
        spoken = (line.split(" ", 1)[1] for line in lines if "persona: " not in line[:25])
        published = {text.strip() for line in spoken for text in line.split("\t")}
    wanted = set(written)
    found = {detokenize(text) for text in published}
    assert len(wanted & found) >= 0.997 * len(wanted)
    # Left as it is, hardly any text with punctuation is what people write.
    assert len(wanted & published) < 0.2 * len(wanted)
