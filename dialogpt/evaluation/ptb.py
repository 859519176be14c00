"""The Penn Treebank tokenizer of the MSCOCO caption scripts, by its own program in Java.

Stanford CoreNLP 3.4.1 cuts texts and lower-cases them; then punctuation is dropped, as
`pycocoevalcap/tokenizer` does it (Chen et al. 2015, arXiv:1504.00325). "(" stays, as "-lrb-": the
scripts drop "-LRB-", which lower-casing has changed before.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dialogpt.evaluation.java import UnavailableError, java_program, last_line, shipped_jar

_PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
_MAIN_CLASS = "edu.stanford.nlp.process.PTBTokenizer"
# What the program takes for the end of a line.
_LINE_ENDS = re.compile(r"[\n\v\f\r\u2028\u2029]")


class PtbTokenizer:
    """Cuts texts as the caption challenge does.

    Raises:
        UnavailableError: there is no Java, or the package pycocoevalcap is not installed.
    """

    def __init__(self) -> None:
        jar = shipped_jar("tokenizer", "stanford-corenlp-3.4.1.jar")
        self._command = _command(java_program(), jar)

    def tokenize(self, texts: Iterable[str]) -> list[str]:
        """Each text as lower-cased tokens with blanks between them, without punctuation.

        The program starts once for each call, which takes half a second: call it with thousands of
        texts.

        Raises:
            UnavailableError: the program fails.
        """
        with (
            tempfile.TemporaryFile() as source,
            tempfile.TemporaryFile() as target,
            tempfile.TemporaryFile() as errors,
        ):
            num_texts = 0
            for text in texts:
                line = _LINE_ENDS.sub(" ", text)
                source.write(f"{line}\n".encode("utf-8", "replace"))
                num_texts += 1
            if not num_texts:
                return []
            source.seek(0)
            status = subprocess.run(
                self._command, stdin=source, stdout=target, stderr=errors, check=False
            ).returncode
            target.seek(0)
            lines = target.read().decode("utf-8").split("\n")[:-1]
            if status or len(lines) != num_texts:
                raise UnavailableError(
                    f"the PTB tokenizer ended with status {status} and {len(lines)} of "
                    f"{num_texts} lines: {last_line(errors)}"
                )
        return [_without_punctuation(line) for line in lines]


def _command(java: str, jar: Path) -> list[str]:
    options = ["-preserveLines", "-lowerCase", "-encoding", "UTF-8"]
    return [java, "-Dfile.encoding=UTF-8", "-cp", str(jar.resolve()), _MAIN_CLASS, *options]


def _without_punctuation(line: str) -> str:
    return " ".join(token for token in line.split(" ") if token and token not in _PUNCTUATION)
