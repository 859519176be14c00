import re

import pytest

from data_prep.config import ExtractConfig, FilterConfig
from data_prep.extract_plan import settings_of
from data_prep.filters import FilterSet
from data_prep.presets import PRESETS
from data_prep.reporting.reasons import explanation

SETTINGS = settings_of(ExtractConfig(dumps="", output="", min_turns=3))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_reason_that_extraction_counts_has_a_sentence(preset: str):
    names = PRESETS[preset].count_names(FilterSet.from_config(FilterConfig()))
    reasons = [name.partition("_dropped.")[2] for name in names if "_dropped." in name]
    assert len(reasons) > 10
    settings = {**SETTINGS, "preset": preset}
    for reason in reasons:
        assert re.fullmatch(r"[A-Z].*[.)]", explanation(reason, settings)), reason


def test_a_sentence_names_the_thresholds_that_were_set():
    assert explanation("too_few_turns", SETTINGS) == "Fewer than 3 turns: nobody answered."
    assert "200 words" in explanation("too_long", SETTINGS)
    reference = {**SETTINGS, "preset": "reference"}
    assert "200 tokens" in explanation("too_long", reference)
    assert explanation("low_score", reference) == "The last comment has a score below 1."


def test_a_reason_of_another_version_has_none():
    assert explanation("of_tomorrow", SETTINGS) == ""
