"""How the results of an extraction get their final names: all of them, or none.

They are prepared in `work/final`. One rename makes that folder `next`: from there on the results
are whole, and whatever is interrupted is only their way to their names, which the next run goes on
with. The manifest goes last and means that all is there.
"""

import shutil
from pathlib import Path

import orjson

from data_prep.stages import JsonObject
from dialogpt.command_line import UserError
from dialogpt.records import write_json

MANIFEST_FILE = "manifest.json"
"""What the results were made of, with checksums and counts."""

RESULTS = (
    "dialogues",
    "counts.tsv",
    "counts.json",
    "examples.json",
    "frequent_trigrams.tsv",
    "testset",
    "rejects",
    "reference",
    MANIFEST_FILE,
)
"""All that an extraction can leave; which of them it does leave depends on its options."""

_NEXT = "next"
_WORK = ("work", "work.deleted", _NEXT)


def publish(final: Path, output: Path, manifest: JsonObject) -> None:
    """Give the results their names in the output folder, in place of those of an earlier run.

    Args:
        final: folder of the results.
        output: where they go.
        manifest: describes them.
    """
    names = {MANIFEST_FILE, *(path.name for path in final.iterdir())}
    if unknown := names.difference(RESULTS):
        raise AssertionError(f"not listed as results of an extraction: {sorted(unknown)}")
    write_json(final / MANIFEST_FILE, {**manifest, "results": sorted(names)})
    final.rename(output / _NEXT)
    go_on_publishing(output)


def go_on_publishing(output: Path) -> None:
    """Do what is left of a publication that was interrupted, if there was one."""
    following = output / _NEXT
    if not following.is_dir():
        return
    if manifest := read_manifest(following):
        (output / MANIFEST_FILE).unlink(missing_ok=True)  # of results that begin to go
        # What only an earlier run left would pass for a result of this one.
        for name in {*RESULTS}.difference(manifest["results"]):
            _remove(output / name)
    for path in sorted(following.iterdir(), key=lambda path: path.name == MANIFEST_FILE):
        _remove(output / path.name)
        path.replace(output / path.name)
    following.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_manifest(output: Path) -> JsonObject | None:
    """The manifest of an output folder, if its results are whole."""
    path = output / MANIFEST_FILE
    if not path.is_file():
        return None
    manifest: JsonObject = orjson.loads(path.read_bytes())
    return manifest


def missing_results(output: Path, manifest: JsonObject) -> list[str]:
    """What is no longer in an output folder of all that its manifest names, as sentences."""
    names = [*manifest.get("results", ()), *manifest["files"]]
    return [f"{name} has gone" for name in names if not (output / name).exists()]


def require_no_links(output: Path) -> None:
    """Make sure that results and work files are in the output folder itself.

    They get their names by renaming, which no link into another file system survives, and whoever
    deletes a link leaves what it points to.

    Raises:
        UserError: one of them is a link.
    """
    for name in (*RESULTS, *_WORK):
        if (output / name).is_symlink():
            raise UserError(
                f"{output / name}: expected a folder or file of this output, found a link; to have "
                "them elsewhere make the whole output folder a link, or give it another place"
            )
