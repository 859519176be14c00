"""python -m dialogpt.rerank: other replies of the candidates that were found before."""

import json
import logging
import sys
from pathlib import Path

from dialogpt.command_line import UserError, parse_config, refuse_to_overwrite, run_command
from dialogpt.config.rerank import RerankConfig
from dialogpt.decode.reranked import reranked
from dialogpt.records import RecordError


def main() -> None:
    """Parse the command line, rank again, and write the replies."""
    config, _ = parse_config(RerankConfig, prog="python -m dialogpt.rerank")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    run_command(lambda: write_reranked(config))


def write_reranked(config: RerankConfig) -> None:
    """Write one line a context, whole or not at all, and print how many replies are others.

    Raises:
        UserError: the candidates are not there, or the output is.
        RecordError: a line is not what it should be.
    """
    candidates, output = Path(config.candidates), Path(config.output)
    refuse_to_overwrite(output)
    if not candidates.is_file():
        raise UserError(
            f"{candidates}: expected the file of `dialogpt.decode --output`, found nothing there"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(output.name + ".unfinished")
    try:
        num_contexts, num_others = _write(config, candidates, unfinished)
    except UnicodeDecodeError as error:
        unfinished.unlink()
        raise RecordError(
            f"{candidates}: expected UTF-8, found the byte {error.object[error.start]:#04x}; save "
            "the file as UTF-8"
        ) from error
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(output)
    print(f"{num_contexts:,} contexts: another reply to {num_others:,}")
    print(f"Wrote {output}", file=sys.stderr)


def _write(config: RerankConfig, candidates: Path, unfinished: Path) -> tuple[int, int]:
    """Number of contexts, and of those whose reply is another one now."""
    num_contexts = num_others = 0
    with (
        candidates.open(encoding="utf-8-sig") as source,
        unfinished.open("w", encoding="utf-8") as lines,
    ):
        for record, is_other in reranked(
            source, str(candidates), weights=config.scorers, length_penalty=config.length_penalty
        ):
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            num_contexts += 1
            num_others += is_other
    return num_contexts, num_others


if __name__ == "__main__":
    main()
