"""`pgherd render`: what others have to make or allow on OCI, written for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pgherd.cli.engines import OCI
from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_lines
from pgherd.cli.words import listed
from pgherd.errors import InputError
from pgherd.files import write
from pgherd.fleet.desired import Environment, Fleet


@click.group()
def render() -> None:
    """Write what others make or allow on OCI.

    For environments on engine oci; nothing on OCI is changed.
    """


@render.command()
@click.argument("environments", nargs=-1, metavar="[ENVIRONMENT]...")
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write ENVIRONMENT/main.tf.json; without it, one environment is printed.",
)
@click.option("--force", is_flag=True, help="Replace files that pgherd did not write, too.")
@fleet_option
def terraform(
    fleet: Fleet, *, environments: tuple[str, ...], directory: Path | None, force: bool
) -> None:
    """Write environments as configuration for Terraform.

    For the provider oracle/oci, with what the engine would make. OCI is not asked for anything.
    """
    from pgherd.engines.oci.terraform import FILE, configuration, text

    chosen = _on_oci(fleet, environments)
    if directory is None and len(chosen) > 1:
        names = listed([e.name for e in chosen])
        raise InputError(
            f"{names} do not go into one file",
            "add --directory DIR for a folder with one of each, or name one environment",
        )
    texts = {e.name: text(configuration(fleet, e)) for e in chosen}
    if directory is None:
        say_lines("".join(texts.values()))
    else:
        files = {directory / name / FILE: content for name, content in texts.items()}
        _write(files, force=force)


@render.command()
@click.argument("environments", nargs=-1, metavar="[ENVIRONMENT]...")
@click.option(
    "--group", metavar="NAME", default="pgherd", show_default=True, help="Whom to allow it."
)
@fleet_option
def policy(fleet: Fleet, *, environments: tuple[str, ...], group: str) -> None:
    """Write the least that OCI must allow.

    To a group of users for pgherd, to the poolers, and to the services that use the key.
    """
    from pgherd.engines.oci.policy import policy as statements

    say_lines(statements(fleet, _on_oci(fleet, environments), group))


@render.command("cloud-init")
@click.argument("environment")
@fleet_option
def cloud_init(fleet: Fleet, *, environment: str) -> None:
    """Write the user data of an environment's poolers.

    For `oci: {pooler: render}`, with comments on what their instances have to be.
    """
    (chosen,) = _on_oci(fleet, (environment,))
    say_lines(asyncio.run(_cloud_init(fleet, chosen)))


async def _cloud_init(fleet: Fleet, environment: Environment) -> str:
    from concurrent.futures import ThreadPoolExecutor

    from pgherd.engines.oci.names import Owner
    from pgherd.engines.oci.pooler_guide import pooler_guide
    from pgherd.engines.oci.sdk import THREADS, Cloud

    oci = environment.oci
    with ThreadPoolExecutor(THREADS, "oci") as threads:
        cloud = Cloud(oci.profile, oci.region or "", threads)
        return await pooler_guide(environment, Owner(fleet.name, environment.name), cloud)


def _on_oci(fleet: Fleet, names: Sequence[str]) -> list[Environment]:
    """The named environments, or all that are on OCI."""
    chosen = [fleet.environment(name) for name in dict.fromkeys(names)]
    for environment in chosen:
        if environment.engine != OCI:
            raise InputError(
                f"{environment.name} is on engine {environment.engine}",
                f"name one on engine {OCI}, or write engine: {OCI} for it",
            )
    found = chosen or [e for e in fleet.environments if e.engine == OCI]
    if not found:
        raise InputError(
            f"no environment of {fleet.name} is on engine {OCI}",
            f"write engine: {OCI} and oci: {{region: us-ashburn-1}} for one",
        )
    for environment in found:
        if environment.oci.region is None:
            raise InputError(
                f"{environment.name} is on engine {OCI} and has no region",
                "write oci: {region: us-ashburn-1}",
            )
    return found


def _write(files: Mapping[Path, str], *, force: bool) -> None:
    """All of them, or none where one is somebody else's."""
    from pgherd.engines.oci.terraform import is_ours

    for path in files:
        if path.exists() and not force and not is_ours(path.read_text(errors="replace")):
            raise InputError(
                f"{path} was not written by pgherd",
                "move it away, choose another --directory, or add --force",
            )
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = write(path, content, mode=0o644)
        say(f"{'wrote' if is_new else 'unchanged'} {path}")
