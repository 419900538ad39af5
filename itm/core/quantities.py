"""Numbers with a unit, as users write them: 30M parameters, 5ms, 8GB."""

import re

from pydantic import ByteSize, TypeAdapter, ValidationError

COUNTS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}
MILLISECONDS = {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001}


def parse_count(text: str) -> int:
    """Return a number of parameters.

    Raises
    ------
    ValueError
        If it is not one.

    >>> parse_count("30M"), parse_count("1.5b")
    (30000000, 1500000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmbg]?)\s*", text, flags=re.IGNORECASE)
    if not match:
        raise ValueError("must be a number of parameters such as 30M, 1.5B or 30000000")
    return round(float(match[1]) * COUNTS[match[2].lower()])


def parse_milliseconds(text: str) -> float:
    """Return a duration in milliseconds. A number without a unit is one.

    Raises
    ------
    ValueError
        If it is not a duration.

    >>> parse_milliseconds("5ms"), parse_milliseconds("0.5 s"), parse_milliseconds("7")
    (5.0, 500.0, 7.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|us|µs|)\s*", text, flags=re.IGNORECASE)
    if not match:
        raise ValueError("must be a duration such as 5ms or 0.2s")
    return float(match[1]) * MILLISECONDS[match[2].lower()]


def parse_bytes(text: str) -> int:
    """Return a size in bytes.

    Raises
    ------
    ValueError
        If it is not a size.

    >>> parse_bytes("8GB"), parse_bytes("1 GiB")
    (8000000000, 1073741824)
    """
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise ValueError("must be a size such as 8GB or 500 MB") from None


def format_bytes(size: float) -> str:
    """Return a size in GB or MB.

    >>> format_bytes(8e9), format_bytes(431_000_000)
    ('8 GB', '431 MB')
    """
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"


def format_count(number: float) -> str:
    """Return a number of parameters.

    >>> format_count(30_000_000), format_count(1_500_000_000), format_count(371_240)
    ('30M', '1.5B', '0.371M')
    """
    return f"{number / 1e9:.3g}B" if number >= 1e9 else f"{number / 1e6:.3g}M"
