import re
from xml.etree import ElementTree

import numpy as np
import pytest

from data_prep.reporting.distribution import Distribution
from data_prep.reporting.drawing import Drawing
from data_prep.reporting.histogram import Limit, draw_histogram
from data_prep.reporting.month_figures import MonthAxis, draw_months
from data_prep.reporting.svg import BAR, GRID, INK, MARK, MUTED, PAPER, SOFT

pytest.importorskip("matplotlib")


@pytest.fixture
def drawn(tmp_path):
    distribution = Distribution()
    distribution.add(np.arange(100) ** 2)
    return draw_histogram(
        Drawing(tmp_path),
        "squares",
        distribution,
        title="$x^2$ <b> & more",
        unit="words",
        limits=[Limit(200, "the <limit>")],
    )


def test_a_figure_is_one_element_of_well_formed_xml_with_text_as_text(drawn):
    root = ElementTree.fromstring(drawn.svg)
    texts = {
        "".join(element.itertext()).strip() for element in root.iter() if "text" in element.tag
    }
    assert {"$x^2$ <b> & more", "the <limit>", "words"} <= texts


def test_a_figure_takes_its_colours_from_the_page_and_loads_nothing(drawn):
    for colour in (INK, MUTED, GRID, PAPER, BAR, MARK, SOFT):
        assert colour not in drawn.svg
    assert "var(--bar)" in drawn.svg
    assert "<style" not in drawn.svg
    assert "font-family" not in drawn.svg.replace("font-family: inherit", "")
    references = re.findall(r'href="([^"]*)"|url\(([^)]*)\)', drawn.svg)
    assert references
    assert all("".join(reference).startswith("#squares-") for reference in references)


def test_all_ids_of_a_figure_begin_with_its_name(drawn):
    ids = re.findall(r'\bid="([^"]*)"', drawn.svg)
    assert ids
    assert all(name.startswith("squares-") for name in ids)
    assert len({*ids}) == len(ids)


def test_the_same_figure_is_the_same_text_and_the_same_file(drawn, tmp_path):
    first = (tmp_path / "squares.png").read_bytes()
    again = Drawing(tmp_path)
    distribution = Distribution()
    distribution.add(np.arange(100) ** 2)
    limits = [Limit(200, "the <limit>")]
    drawn_again = draw_histogram(
        again, "squares", distribution, title="$x^2$ <b> & more", unit="words", limits=limits
    )
    assert drawn_again == drawn
    assert (tmp_path / "squares.png").read_bytes() == first
    assert first.startswith(b"\x89PNG")


def test_missing_months_leave_a_gap_between_those_around_them():
    axis = MonthAxis(["2006-01", "2005-12", "2015-02"])
    first, second, third = (axis.place(month) for month in ("2005-12", "2006-01", "2015-02"))
    assert second - first == 1
    assert third - second > 1


def test_more_months_than_have_room_are_not_all_labelled(tmp_path):
    months = {f"{year}-{month:02d}": 5 for year in range(2006, 2016) for month in range(1, 13)}
    svg = draw_months(Drawing(tmp_path), months, {}).svg
    labels = ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter()]
    assert 2 <= len({label for label in labels if label in months}) <= 6
