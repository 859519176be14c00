"""python -m data_prep STAGE [options]: one stage of the way from dumps to shards."""

import sys
from importlib import import_module

STAGES = {
    "sample": "write a small Reddit-like dump from real chit-chat",
    "extract": "dumps -> reply trees -> filtered dialogues (Parquet)",
    "import": "conversations of other kinds (DailyDialog, chat exports, ...) -> dialogues",
    "purge": "remove given comments from dialogues and shards",
    "report": "one HTML page about a folder of dialogues: what was read, dropped and kept",
    "testset": "write a test set: a published one from dumps and key lists, or one of a split",
    "contamination": "report what of a test set also stands in the training dialogues",
    "tokenizer": "train a tokenizer (SentencePiece, WordPiece) on the dialogues",
    "shards": "dialogues -> token ids -> LMDB shards",
    "inspect": "show a dialogue of the shards token by token, with labels",
}
"""Stage -> what it does, in the order of the flow."""

# Each has a function `main(argv)`.
_MODULES = {
    "sample": "data_prep.sample",
    "extract": "data_prep.extract",
    "import": "data_prep.importing.importer",
    "purge": "data_prep.purging.command",
    "report": "data_prep.reporting.report",
    "testset": "data_prep.published.command",
    "contamination": "data_prep.contamination.command",
    "tokenizer": "data_prep.train_tokenizer",
    "shards": "data_prep.write_shards",
    "inspect": "data_prep.inspecting",
}


def main(argv: list[str]) -> None:
    """Hand the rest of the command line to the stage it names."""
    if argv and argv[0] in STAGES:
        # Imported late: `sample` should not wait for pyarrow, nor `--help` for anything.
        import_module(_MODULES[argv[0]]).main(argv[1:])
        return
    lines = [f"  {name:<13} {text}" for name, text in STAGES.items()]
    usage = "\n".join(
        ["usage: python -m data_prep STAGE [options]   (STAGE --help lists them)", "", *lines]
    )
    if argv and argv[0] in ("-h", "--help"):
        print(usage)
        return
    found = f"unknown stage {argv[0]!r}" if argv else "no stage given"
    print(f"{usage}\n\nerror: {found}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
