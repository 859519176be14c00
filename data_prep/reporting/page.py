"""The page: what the template is given, and how it writes numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from data_prep.reporting.distribution import QUANTILES, Distribution
from data_prep.reporting.formats import counted, number, percent, size
from data_prep.reporting.reasons import explanation, label
from data_prep.reporting.shown_text import pieces_of, plain

_TEMPLATES = Path(__file__).with_name("templates")


def render(contents: Mapping[str, Any]) -> str:
    """The page as HTML.

    Whatever is no figure of ours is escaped: the template engine does it, not the template.
    Characters that UTF-8 cannot hold are gone by then, see `shown_text`.

    Args:
        contents: name -> value, for templates/page.html.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "counted": counted,
        "number": number,
        "percent": percent,
        "size": size,
        "label": label,
        "plain": plain,
        "pieces": pieces_of,
        "svg": lambda drawn: Markup(drawn.svg),  # written by matplotlib, which escapes
    }
    environment.globals |= {
        "explanation": explanation,
        "quantile_names": QUANTILE_NAMES,
        "quantiles": quantiles,
    }
    return environment.get_template("page.html").render(contents)


QUANTILE_NAMES = ("least", *(f"{share:.0%}".replace("%", " %") for share in QUANTILES), "most")


def quantiles(distribution: Distribution) -> list[int]:
    """The numbers below QUANTILE_NAMES."""
    between = [distribution.quantile(share) for share in QUANTILES]
    return [distribution.least, *between, distribution.greatest]
