"""Which fields of a dump's records are read, what they may look like, and why others are unusable.

The dumps of 20 years hold numbers as strings, ids as numbers, invalid UTF-8 and halves of surrogate
pairs. `mend` says what each of those is worth; the fast routes in `data_prep.posts` read only what
is as it should be.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Annotated, Any, TypeAlias

import msgspec
import orjson
import pyarrow as pa

from data_prep.ids import MAX_ID_LENGTH

ROOT = -1
"""Parent of a comment that answers the submission, or that does not say what it answers."""

UNUSABLE = (
    "malformed_json",
    "not_an_object",
    "missing_id",
    "missing_link",
    "missing_body",
    "missing_field",
)
"""Why a line yields no post, in the order in which it is found out."""

INT32 = (-(2**31), 2**31 - 1)
SECONDS = (0, 2**40)

Value: TypeAlias = int | str | None
"""What a field is worth: the value of a base-36 id, a number, or text."""


class FieldKind(IntEnum):
    """What a field holds; the numbers are those of `FieldKind` in native/posts.h."""

    ID = 0
    """A base-36 id with or without its prefix, needed."""
    PARENT = 1
    """A base-36 id with its prefix; anything else is ROOT."""
    INTEGER = 2
    """A whole number; 0 where there is none."""
    TEXT = 3
    """A string, or null where there is none."""
    BODY = 4
    """A string, needed."""


_COLUMN_TYPES = {
    FieldKind.ID: pa.int64(),
    FieldKind.PARENT: pa.int64(),
    FieldKind.INTEGER: pa.int64(),
    FieldKind.TEXT: pa.large_string(),
    FieldKind.BODY: pa.large_string(),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a record.

    Attributes:
        name: its key, and the name of the column.
        kind: what it holds.
        prefix: of ids: "t1_" for comments, "t3_" for submissions.
        limits: of whole numbers: lowest and highest; what lies beyond is cut to them.
        reason: why a record is unusable that lacks the field; "" where it may be lacking.
    """

    name: str
    kind: FieldKind
    prefix: str = "t1_"
    limits: tuple[int, int] = INT32
    reason: str = ""

    @property
    def is_needed(self) -> bool:
        """Whether the field must have a value; others need only be there, if they have a reason."""
        return self.kind in (FieldKind.ID, FieldKind.BODY)

    @property
    def column(self) -> pa.Field:
        """The column that the field becomes."""
        nullable = self.kind is FieldKind.TEXT
        return pa.field(self.name, _COLUMN_TYPES[self.kind], nullable=nullable)

    @property
    def native(self) -> tuple[bytes, int, bytes, int, int, bool]:
        """The field as `_native.posts_of_lines` wants it described."""
        return (
            self.name.encode(),
            int(self.kind),
            self.prefix.encode(),
            *self.limits,
            bool(self.reason),
        )

    @property
    def struct_field(self) -> tuple[str, Any, Any]:
        """The field in a msgspec.Struct that takes it as it should be."""
        number = Annotated[int, msgspec.Meta(ge=self.limits[0], le=self.limits[1])]
        # No default: the struct then refuses a record without the field.
        default = (msgspec.NODEFAULT,) if self.reason else (None,)
        if self.kind in (FieldKind.ID, FieldKind.BODY):
            return (self.name, str, *default)
        if self.kind is FieldKind.INTEGER:
            return (self.name, number | str | None, *default)
        return (self.name, str | None, *default)

    def mend(self, value: Any) -> Value:
        """What a decoded JSON value is worth; None if nothing, where the field is needed."""
        match self.kind:
            case FieldKind.ID:
                return _id(value, self.prefix, needs_prefix=False)
            case FieldKind.PARENT:
                parent = _id(value, self.prefix, needs_prefix=True)
                return ROOT if parent is None else parent
            case FieldKind.INTEGER:
                return whole_number(value, self.limits)
            case FieldKind.TEXT | FieldKind.BODY:
                return _text(value)


@dataclass(frozen=True)
class PostFormat:
    """How one kind of post is read.

    Attributes:
        fields: in the order of the columns; one that is needed has a reason.
    """

    fields: tuple[Field, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """Of the columns."""
        return pa.schema([field.column for field in self.fields])

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Takes a record as the dumps mean it, with the fields as attributes."""
        struct = msgspec.defstruct(
            "Post", [field.struct_field for field in self.fields], kw_only=True, gc=False
        )
        return msgspec.json.Decoder(struct)

    @cached_property
    def native(self) -> tuple[tuple[bytes, int, bytes, int, int, bool], ...]:
        """The fields as `_native.posts_of_lines` wants them described."""
        return tuple(field.native for field in self.fields)


def parse_line(line: bytes, fields: Sequence[Field]) -> tuple[Value, ...] | str:
    """What a line is worth, field by field; or a word of UNUSABLE. It never raises."""
    try:
        record = orjson.loads(line)
    except ValueError:
        try:
            # Accepts what orjson does not: raw control characters, NaN, lone surrogates.
            record = json.loads(line.decode("utf-8", "replace"), strict=False)
        except (ValueError, RecursionError):
            return "malformed_json"
    if not isinstance(record, dict):
        return "not_an_object"
    values = []
    for field in fields:
        value = field.mend(record.get(field.name))
        if field.reason and (field.name not in record or (value is None and field.is_needed)):
            return field.reason
        values.append(value)
    return tuple(values)


def _id(value: Any, prefix: str, *, needs_prefix: bool) -> int | None:
    """The value of a base-36 id; a number in its place is that value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 36**MAX_ID_LENGTH else None
    if not isinstance(value, str) or (needs_prefix and not value.startswith(prefix)):
        return None
    digits = value.removeprefix(prefix)
    return int(digits, 36) if _ID.fullmatch(digits) else None


_ID = re.compile(rf"[0-9A-Za-z]{{1,{MAX_ID_LENGTH}}}")


def _text(value: Any) -> str | None:
    """A string that can be written as UTF-8: halves of surrogate pairs become U+FFFD."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def whole_number(value: Any, limits: tuple[int, int]) -> int:
    """A number, or a string of one, cut to whole and to the limits; 0 for anything else."""
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= 12:
        value = int(value)  # many months have their times so
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value) else 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return 0
    return int(min(max(value, limits[0]), limits[1]))


_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d*)?", re.ASCII)
