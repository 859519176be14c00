"""The options of `python -m dialogpt.oracle`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OracleConfig:
    """Of each context the candidate that its references like best: an upper bound of ranking."""

    references: str
    """The test set: a JSON Lines file of items."""
    candidates: str
    """What `dialogpt.decode --output` wrote as JSON Lines: it has all candidates."""
    output: str
    """JSON Lines file for the replies, for `dialogpt.evaluate --systems`; must not exist."""
    meteor: bool = True
    """Count METEOR too, where Java and its jar are there; else BLEU and ROUGE-L decide alone."""
    meteor_jar: str = ""
    """meteor-1.5.jar; empty: that of the package pycocoevalcap (pip install 'dialogpt[meteor]')."""
