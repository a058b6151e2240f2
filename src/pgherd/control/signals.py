"""Ctrl-C and SIGTERM end a run the same way: what runs is cancelled, and is resumable."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Terminated(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, nothing but the command itself catches it."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` that SIGTERM cancels as Ctrl-C does.

    Ends in KeyboardInterrupt after Ctrl-C and in Terminated after SIGTERM.
    """
    return asyncio.run(_until_terminated(main))


async def _until_terminated(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(main)
    running = asyncio.get_running_loop()
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    running.add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await task
    except asyncio.CancelledError:
        if terminated:
            raise Terminated from None
        raise
    finally:
        running.remove_signal_handler(signal.SIGTERM)
