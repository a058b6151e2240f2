"""The command: finds the verb, and says how it ended in one line and one exit code.

Each verb's module is imported only when it is called, so that the quick ones are quick.
"""

from __future__ import annotations

import difflib
import gc
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from pgherd import __version__
from pgherd.cli.output import (
    escape_reports,
    printable_lines,
    say,
    say_lines,
    show_what_an_encoding_lacks,
)

INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141

VERBS = {
    "up": "pgherd.cli.up:up",
    "plan": "pgherd.cli.plan:plan",
    "status": "pgherd.cli.status:status",
    "top": "pgherd.cli.top:top",
    "show": "pgherd.cli.show:show",
    "events": "pgherd.cli.events:events",
    "why": "pgherd.cli.why:why",
    "alerts": "pgherd.cli.alerts:alerts",
    "metrics": "pgherd.cli.metrics:metrics",
    "history": "pgherd.cli.history:history",
    "cost": "pgherd.cli.cost:cost",
    "simulate": "pgherd.cli.simulate:simulate",
    "connect": "pgherd.cli.connect:connect",
    "url": "pgherd.cli.url:url",
    "logs": "pgherd.cli.logs:logs",
    "load": "pgherd.cli.load:load",
    "run": "pgherd.cli.run:run",
    "service": "pgherd.cli.service:service",
    "pause": "pgherd.cli.pause:pause",
    "resume": "pgherd.cli.pause:resume",
    "backup": "pgherd.cli.backup:backup",
    "drill": "pgherd.cli.drill:drill",
    "report": "pgherd.cli.report:report",
    "restore": "pgherd.cli.restore:restore",
    "import": "pgherd.cli.importing:import_",
    "switchover": "pgherd.cli.primary:switchover",
    "failover": "pgherd.cli.primary:failover",
    "certificates": "pgherd.cli.certificates:certificates",
    "render": "pgherd.cli.render:render",
    "doctor": "pgherd.cli.doctor:doctor",
    "down": "pgherd.cli.down:down",
    "destroy": "pgherd.cli.destroy:destroy",
}
"""Where each verb is, in the order in which a newcomer meets them."""


class LazyGroup(click.Group):
    """Verbs by the name of their module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One verb, imported now."""
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is called; a misspelt one is answered with the nearest."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            ctx.fail(f"no such command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Errors of ours end the command with their message, hint and exit code."""
        from pgherd.cli.failures import Failed, errors_in

        escape_reports()
        try:
            return super().invoke(ctx)
        except Exception as error:
            if found := errors_in(error):
                raise Failed(found) from error
            raise


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", message="pgherd %(version)s")
@click.option("--debug", is_flag=True, help="Show where an unexpected error came from.")
def cli(*, debug: bool) -> None:
    """Run a fleet of PostgreSQL databases from one file.

    A DATABASE is written ENVIRONMENT/SERVICE, as in production/auth.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit."""
    # A command makes much that lives to its end, and ends soon: looking for garbage is in vain.
    gc.set_threshold(50_000)
    _settle()
    given = list(sys.argv[1:] if arguments is None else arguments)
    show_what_an_encoding_lacks()
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    if code == BROKEN_PIPE:
        # What is left in the buffers has no reader, and flushing it at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _settle() -> None:
    """Take away of the surroundings what would change where connections and output go.

    libpq's variables, which name another server or other settings to all sessions that the
    command opens, and closed standard streams, in whose place any file may be opened.
    """
    for name in [name for name in os.environ if name.startswith("PG") and name[2:3].isalpha()]:
        if not name.startswith("PGHERD_"):
            del os.environ[name]
    for descriptor, mode, stream in ((0, "r", "stdin"), (1, "w", "stdout"), (2, "w", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor is this one
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(descriptor, mode, closefd=False))  # noqa: SIM115


def _run(arguments: list[str]) -> int:
    try:
        code = cli.main(arguments, prog_name="pgherd", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        say_lines(f"{error.format_message()}\n", err=True)
        return error.exit_code
    except click.UsageError as error:
        _explain_usage(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say_resumable("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:
        _explain_unexpected(error, show=_is_debug(arguments))
        return 1
    except BaseException as end:
        from pgherd.control.signals import Terminated

        if not isinstance(end, Terminated):
            raise
        _say_resumable("terminated")
        return TERMINATED


def _is_debug(arguments: Sequence[str]) -> bool:
    before_verb = arguments[: next((i for i, a in enumerate(arguments) if a in VERBS), None)]
    return "--debug" in before_verb


def _say_resumable(how: str) -> None:
    say(err=True)
    say(f"{how}: nothing is lost; the same command goes on from here", err=True)


def _explain_usage(error: click.UsageError) -> None:
    from pgherd.cli.failures import print_error

    message = error.format_message()
    place = error.ctx.command_path if error.ctx else "pgherd"
    print_error(message[:1].lower() + message[1:].rstrip("."), f"see {place} --help")


def _innermost(error: BaseException) -> BaseException:
    """The first error in a group, for a group's own line says nothing."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _formatted(form: Callable[[BaseException], list[str]], error: BaseException) -> list[str]:
    """The error in a form of the traceback module, or plainly where that fails itself.

    Python 3.13 looks for names like one that was not found; it cannot where that has no encoding.
    """
    try:
        return form(error)
    except UnicodeEncodeError:
        return [*traceback.format_tb(error.__traceback__), f"{type(error).__name__}: {error}\n"]


def _explain_unexpected(error: Exception, *, show: bool) -> None:
    from pgherd.cli.failures import print_error

    trace = printable_lines("".join(_formatted(traceback.format_exception, error)))
    innermost = _innermost(error)
    last = _formatted(traceback.format_exception_only, innermost)[-1].strip().splitlines()[0]
    if show:
        say_lines(trace, err=True)
        print_error(f"unexpected: {last}", "report it with the lines above")
        return
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="pgherd-", suffix=".traceback", delete=False
    ) as file:
        file.write(trace)
    print_error(f"unexpected: {last}", f"report it with {file.name}")
