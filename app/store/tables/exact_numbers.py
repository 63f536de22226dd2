"""Numbers as `event_value` stores them, without losing digits: (nearest double, exact text)."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact

# From here on, a double is nearest to several integers.
_MIN_SHARED_DOUBLE = 2.0**53
_NINES_COMPLEMENT = str.maketrans("0123456789", "9876543210")
# Enough for sums of any doubles: they have digits from 10^308 to 10^-340.
_EXACT = Context(prec=1_000, traps=[Inexact])


def split_number(number: int | float) -> tuple[float, str | None]:
    """Returns the nearest double of a number, and a string that orders numbers with that double.

    The text is None for doubles that are nearest to one integer only.
    """
    double = float(number)
    if abs(double) < _MIN_SHARED_DOUBLE:
        return double, None
    digits = str(abs(int(number)))
    key = f"{len(digits):03}{digits}"
    return double, key if double > 0 else f"-{key.translate(_NINES_COMPLEMENT)}"


def join_number(double: float, exact: str | None) -> int | float:
    """Returns the number that `split_number` split. A whole number is returned as an integer."""
    if exact is None:
        return int(double) if double.is_integer() else double
    if exact.startswith("-"):
        return -int(exact[4:].translate(_NINES_COMPLEMENT))
    return int(exact[3:])


class DecimalSum:
    """The aggregate function of SQLite that adds numbers without rounding, as PostgreSQL does."""

    def __init__(self) -> None:
        self._integers = 0
        self._decimals: Decimal | None = None
        self._count = 0

    def step(self, double: float | None, exact: str | None) -> None:
        if double is None:
            return
        self._count += 1
        value = join_number(double, exact)
        if isinstance(value, int):
            self._integers += value
        else:
            # The shortest decimal number of the double, which is the reported one.
            self._decimals = _EXACT.add(self._decimals or Decimal(), Decimal(repr(value)))

    def finalize(self) -> str | None:
        if not self._count:
            return None
        return str(_EXACT.add(self._decimals or Decimal(), Decimal(self._integers)))
