"""Amounts of money: exact everywhere, and rounded to cents where they are shown."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def format_money(amount: Decimal, currency: str, *, signed: bool = False) -> str:
    """As in $16,965.12, or EUR 1,234.00; `signed` puts a plus before what is not negative."""
    cents = to_cents(amount)
    sign = "-" if cents < 0 else "+" if signed else ""
    symbol = "$" if currency == "USD" else f"{currency} "
    return f"{sign}{symbol}{abs(cents):,.2f}"


def to_cents(amount: Decimal) -> Decimal:
    """Rounded as money is: half a cent goes up."""
    return amount.quantize(CENT, ROUND_HALF_UP)
