"""`python -m pgherd.testing.oci`: the local OCI in the foreground, to try pgherd by hand."""

from __future__ import annotations

import signal
import tempfile
import threading
from pathlib import Path

import click

from pgherd.testing.oci.server import LocalOci


@click.command()
@click.option(
    "--port", type=int, default=0, help="The port to listen on; any free one if left out."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write the SDK's configuration and key; a new temporary folder if left out.",
)
@click.option("--delay", type=float, default=0.0, help="Seconds that each change takes.")
@click.option("--region", "regions", multiple=True, help="Subscribed regions, the home one first.")
def main(port: int, directory: Path | None, delay: float, regions: tuple[str, ...]) -> None:
    """Play OCI on loopback until ctrl-c."""
    folder = directory or Path(tempfile.mkdtemp(prefix="local-oci-"))
    folder.mkdir(parents=True, exist_ok=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    chosen = regions or ("us-ashburn-1", "us-phoenix-1")
    with LocalOci(regions=chosen, delay=delay, port=port) as cloud:
        for name, value in cloud.variables(folder).items():
            click.echo(f"export {name}={value}")
        click.echo("# all that exists in it is lost when it stops (ctrl-c)")
        ended.wait()


if __name__ == "__main__":
    main()
