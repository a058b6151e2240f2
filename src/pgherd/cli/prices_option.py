"""The option by which commands find their price table: `--prices`, else PGHERD_PRICES."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

PRICES_VARIABLE = "PGHERD_PRICES"


def prices_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--prices`, and calls the command with the loaded `prices`."""

    @click.option(
        "--prices",
        "prices_file",
        metavar="FILE",
        envvar=PRICES_VARIABLE,
        type=click.Path(path_type=Path),
        help="The price table.  [default: the one that pgherd has]",
    )
    @wraps(command)
    def with_prices(*args: Any, prices_file: Path | None, **kwargs: Any) -> Any:
        from pgherd.prices.file import SHIPPED, load_prices

        return command(*args, prices=load_prices(prices_file or SHIPPED), **kwargs)

    return with_prices
