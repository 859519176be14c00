import pytest

from data_prep.published.config import TestsetConfig

DSTC7 = {"kind": "dstc7", "output": "o", "dumps": "d", "hashes": "h", "sets": "s"}
REDDIT6K = {"kind": "reddit6k", "output": "o", "lines": "l", "ids": "i"}


def test_each_kind_is_content_with_what_it_needs() -> None:
    assert TestsetConfig(**DSTC7).kind == "dstc7"
    assert TestsetConfig(**REDDIT6K, human="h").human == "h"


@pytest.mark.parametrize("name", ["dumps", "hashes", "sets"])
def test_what_dstc7_needs_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"needs --{name}"):
        TestsetConfig(**{**DSTC7, name: ""})


@pytest.mark.parametrize("name", ["lines", "ids"])
def test_what_reddit6k_needs_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"needs --{name}"):
        TestsetConfig(**{**REDDIT6K, name: ""})


@pytest.mark.parametrize("name", ["lines", "ids", "human"])
def test_an_option_of_the_other_kind_is_refused_for_dstc7(name: str) -> None:
    with pytest.raises(ValueError, match=rf"--{name} is for kind 'reddit6k'"):
        TestsetConfig(**DSTC7, **{name: "x"})


@pytest.mark.parametrize("name", ["dumps", "keys", "subreddits", "domains", "pages"])
def test_an_option_of_the_other_kind_is_refused_for_reddit6k(name: str) -> None:
    with pytest.raises(ValueError, match=rf"--{name} is for kind 'dstc7'"):
        TestsetConfig(**REDDIT6K, **{name: "x"})


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of reddit6k, dstc7, split, got 'dstc6'"):
        TestsetConfig(kind="dstc6", output="o")


def test_a_negative_number_of_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="num_workers"):
        TestsetConfig(**DSTC7, num_workers=-1)
