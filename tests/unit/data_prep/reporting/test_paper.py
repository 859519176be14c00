from dataclasses import replace

from data_prep.config import ExtractConfig, FilterConfig, MultirefConfig, SplitConfig
from data_prep.extract_plan import settings_of
from data_prep.reporting.paper import differences_from_paper

AS_PAPER = ExtractConfig(
    dumps="",
    output="",
    split=SplitConfig(test_months="2018-03"),
    multiref=MultirefConfig(max_references=5),
)


def options_that_differ(config: ExtractConfig) -> list[str]:
    return [difference.option for difference in differences_from_paper(settings_of(config))]


def test_the_papers_settings_differ_in_nothing():
    assert options_that_differ(AS_PAPER) == []


def test_every_filter_that_is_changed_is_told():
    filters = FilterConfig(urls=False, max_words=0, bland_count=50, offensive_phrases="")
    assert options_that_differ(replace(AS_PAPER, filters=filters, max_turns=5)) == [
        "max_turns",
        "filters.urls",
        "filters.max_words",
        "filters.bland_count",
        "filters.offensive_phrases",
    ]


def test_a_default_of_ours_that_is_not_the_papers_is_told():
    assert options_that_differ(ExtractConfig(dumps="", output="")) == [
        "split.test_months",
        "multiref.max_references",
    ]


def test_values_are_told_as_people_say_them():
    filters = FilterConfig(urls=False, bland_count=5000, excluded_subreddits="")
    told = differences_from_paper(settings_of(replace(AS_PAPER, filters=filters)))
    assert [(d.here, d.paper, d.default) for d in told] == [
        ("off", "on", "on"),
        ("5,000", "1,000", "1,000"),
        ("none", "a list that is not published", "default"),
    ]
