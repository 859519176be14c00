"""Numbers as people read them."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def number(value: float) -> str:
    """With thousands separators, and one digit behind the point where it is no whole number."""
    digits = 0 if isinstance(value, int) or abs(value) >= 1000 else 1
    return f"{value:,.{digits}f}".replace("-", "−")


def counted(how_many: int, name: str) -> str:
    """A number and what it is of, as in "1 thread" and "2 threads"."""
    return f"{number(how_many)} {name}{'' if how_many == 1 else 's'}"


def percent(share: float) -> str:
    """A share in percent, with the digits that a small one needs; only all is 100 %."""
    in_percent = 100 * share
    if in_percent in (0, 100):
        return f"{in_percent:.0f} %"
    if in_percent < 0.001:
        return "< 0.001 %"
    if in_percent < 0.1:
        return f"{in_percent:.3f} %"
    return f"{min(in_percent, 99.9):.1f} %"


def size(num_bytes: int) -> str:
    """Bytes as people say them: 12.1 MB."""
    power = min((len(str(num_bytes)) - 1) // 3, len(_UNITS) - 1)
    digits = 1 if power else 0
    return f"{num_bytes / 1000**power:,.{digits}f} {_UNITS[power]}"
