"""How the results of an extraction get their final names: all of them, or none.

They are prepared in `work/final`. One rename makes that folder `next`: from there on the results
are whole, and whatever is interrupted is only their way to their names, which the next run goes on
with. The manifest goes last and means that all is there.
"""

import shutil
from pathlib import Path

import orjson

from data_prep.stages import JsonObject
from dialogpt.records import write_json

MANIFEST_FILE = "manifest.json"
"""What the results were made of, with checksums and counts."""

_NEXT = "next"


def publish(final: Path, output: Path, manifest: JsonObject) -> None:
    """Give the results their names in the output folder, in place of those of an earlier run.

    Args:
        final: folder of the results.
        output: where they go.
        manifest: describes them.
    """
    write_json(final / MANIFEST_FILE, manifest)
    final.rename(output / _NEXT)
    go_on_publishing(output)


def go_on_publishing(output: Path) -> None:
    """Do what is left of a publication that was interrupted, if there was one."""
    following = output / _NEXT
    if not following.is_dir():
        return
    (output / MANIFEST_FILE).unlink(missing_ok=True)  # of results that begin to go
    for path in sorted(following.iterdir(), key=lambda path: path.name == MANIFEST_FILE):
        old = output / path.name
        if old.is_dir():
            shutil.rmtree(old)
        path.replace(old)
    following.rmdir()


def read_manifest(output: Path) -> JsonObject | None:
    """The manifest of an output folder, if its results are whole."""
    path = output / MANIFEST_FILE
    if not path.is_file():
        return None
    manifest: JsonObject = orjson.loads(path.read_bytes())
    return manifest
