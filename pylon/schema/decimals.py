"""Decimals as whole numbers of their smallest unit: exact, whatever the digits.

Nothing here goes through a decimal context, because contexts round.
"""

from __future__ import annotations

import re
from decimal import Decimal

UNITS_MAX = 2**63 - 1
_TEXT = re.compile(r"(-?)(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,18}))?\Z")


def parse_units(text: str, scale: int) -> int:
    """Return the units of a decimal's text; raises ValueError."""
    found = _TEXT.match(text)
    if found is None:
        raise ValueError('must be a decimal as text, such as "12.50"')
    sign, whole, fraction = found.groups()
    digits = (fraction or "").rstrip("0")
    if len(digits) > scale:
        raise ValueError(f"has more than {scale} digits behind the point")
    return _bounded(int(f"{sign}{whole}{digits.ljust(scale, '0')}"))


def parse_decimal(text: str) -> Decimal:
    """Return the Decimal of a text with at most 18 digits behind the point; raises ValueError."""
    if _TEXT.match(text) is None:
        raise ValueError('must be a decimal as text, such as "12.50"')
    return Decimal(text)


def units_of(value: Decimal, scale: int) -> int:
    """Return the units of a Decimal; raises ValueError where it can't be kept exactly."""
    if not value.is_finite():
        raise ValueError("must be finite")
    if not value:
        return 0
    if value.adjusted() + scale > 19:  # before its digits are written out
        raise ValueError("is too large")
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    shift = exponent + scale
    if shift < 0:
        if any(digits[shift:]):
            raise ValueError(f"has more than {scale} digits behind the point")
        digits, shift = digits[:shift], 0
    units = int("".join(map(str, digits)) or "0") * 10**shift
    return _bounded(-units if sign else units)


def units_text(units: int, scale: int) -> str:
    """Return the decimal's text with all its digits behind the point: `12.50`."""
    if scale == 0:
        return str(units)
    sign, digits = ("-", -units) if units < 0 else ("", units)
    text = str(digits).rjust(scale + 1, "0")
    return f"{sign}{text[:-scale]}.{text[-scale:]}"


def units_decimal(units: int, scale: int) -> Decimal:
    """Return the Decimal of units, exactly."""
    return Decimal((int(units < 0), tuple(map(int, str(abs(units)))), -scale))


def _bounded(units: int) -> int:
    if abs(units) > UNITS_MAX:
        raise ValueError("is too large")
    return units
