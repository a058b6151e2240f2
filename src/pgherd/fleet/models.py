"""The shape of the fleet file, and the text that describes each key of it.

Everything is optional here: whether a value is needed is known only once all layers (override,
service, environment, defaults) are laid over each other, so `rules` says it. `grammar` adds the
engines, each with a section of its own. The reference and the JSON Schema are generated from both.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from pgherd.fleet.backup_models import BackupProfile, DrillsProfile, ObjectivesProfile
from pgherd.fleet.calendar_values import (
    Clock,
    Day,
    SingleDate,
    Timezone,
    one_or_several,
)
from pgherd.fleet.desired import METRICS
from pgherd.fleet.document import in_one_line
from pgherd.fleet.history_models import HISTORY_EXAMPLE, History
from pgherd.fleet.keys import Section
from pgherd.fleet.receiver_models import NOTIFICATIONS_EXAMPLE, Notifications
from pgherd.fleet.values import (
    OFF,
    CommitDurability,
    Domains,
    Flag,
    Loopback,
    Name,
    Network,
    OcpuCount,
    OcpuRange,
    Percent,
    PoolingMode,
    ReplicaRange,
    StorageRange,
    Version,
    Word,
    off,
)


class AutoscaleProfile(Section):
    """When the autopilot scales up."""

    cpu: Percent | None = Field(None, description="Scale up above this CPU use.", examples=["80%"])
    memory: Percent | None = Field(
        None, description="Scale up above this memory use.", examples=["80%"]
    )


def _off_or_on(value: object) -> str:
    return "off" if isinstance(value, str) else "on"


Autoscaling = Annotated[
    Annotated[Literal[False], OFF, Tag("off")] | Annotated[AutoscaleProfile, Tag("on")],
    Discriminator(_off_or_on),
]


class WindowProfile(Section):
    """A time of each week."""

    model_config = ConfigDict(json_schema_extra={"required": ["from", "to"]})

    days: tuple[Day | None, ...] | None = Field(
        None,
        description="Days of the week on which it begins: mon, tue, wed, thu, fri, sat, sun. "
        "Without it: every day.",
        examples=[["sat", "sun"]],
    )
    begin: Clock | None = Field(
        None,
        alias="from",
        description="When it begins, by the clock of its time zone. Needed.",
        examples=["03:00"],
    )
    end: Clock | None = Field(
        None,
        alias="to",
        description="When it is over, needed; on the next day where that is earlier than from.",
        examples=["05:00"],
    )
    timezone: Timezone | None = Field(
        None,
        description="Whose clock it is: an IANA name. Without it: UTC.",
        examples=["Europe/Berlin"],
    )


class PeakProfile(WindowProfile):
    """Load that people know of beforehand."""

    model_config = ConfigDict(json_schema_extra={"required": ["from", "to", "ocpus"]})

    timezone: Timezone | None = Field(
        None,
        description="Whose clock it is: an IANA name. Without it: that of the database's first "
        "window of maintenance, else UTC.",
        examples=["Europe/Berlin"],
    )
    dates: tuple[SingleDate | None, ...] | None = Field(
        None,
        description="Single days on which it begins, in place of days of the week.",
        examples=[["2026-11-27"]],
    )
    ocpus: OcpuCount | None = Field(
        None,
        description="OCPUs that each instance has then at least, within the database's ocpus. "
        "Needed.",
        examples=[32],
    )


MAINTENANCE_EXAMPLE = {"days": ["sun"], "from": "03:00", "to": "05:00", "timezone": "Europe/Berlin"}
PEAKS_EXAMPLE = [{"days": ["fri"], "from": "08:00", "to": "23:00", "ocpus": 32}]
Maintenance = Annotated[
    tuple[WindowProfile | None, ...],
    one_or_several(
        "a window",
        in_one_line(MAINTENANCE_EXAMPLE),
        WindowProfile | tuple[WindowProfile, ...],
    ),
]
Peaks = Annotated[
    tuple[PeakProfile | None, ...],
    one_or_several("a peak", in_one_line(PEAKS_EXAMPLE), PeakProfile | tuple[PeakProfile, ...]),
]


class Override(Section):
    """What may differ from one database to the next."""

    ocpus: OcpuRange | None = Field(
        None,
        description="OCPUs of each instance, needed: initial..max.",
        examples=["2..128", 2],
    )
    storage: StorageRange | None = Field(
        None,
        description="Storage of each instance, needed: initial..max, or initial..unlimited.",
        examples=["2TB..unlimited", "1TB"],
    )
    replicas: ReplicaRange | None = Field(
        None,
        description="Read replicas beside the primary: min..max.",
        examples=["2..5", 0],
    )
    autoscale: Autoscaling | None = Field(
        None,
        description="When the autopilot scales up; false for never.",
        examples=[{"cpu": "80%", "memory": "80%"}, False],
    )
    peaks: Peaks | None = Field(
        None,
        description="Load that people know of beforehand, in a list.",
        examples=[PEAKS_EXAMPLE],
    )
    maintenance: Maintenance | None = Field(
        None,
        description="When the autopilot may restart something by itself; one window, or several "
        "in a list. Without it: never.",
        examples=[MAINTENANCE_EXAMPLE],
    )
    backup: BackupProfile | None = Field(
        None,
        description="How long backups are kept, and where their copies go.",
        examples=[{"retention": "30d", "copy_to": ["us-phoenix-1"]}],
    )
    drills: DrillsProfile | None = Field(
        None,
        description="How often it is proven that backups bring a database back.",
        examples=[{"restore": "7d"}],
    )
    objectives: ObjectivesProfile | None = Field(
        None,
        description="What a restore has to be good for. Without it: nothing is promised.",
        examples=[{"rto": "10m", "rpo": "60s"}],
    )
    durability: CommitDurability | None = Field(
        None,
        description="When a commit is acknowledged: after a replica has it too (synchronous), "
        "or at once (asynchronous). Without it: synchronous for production where replicas is 1 "
        "or more.",
        examples=["synchronous"],
    )
    deletion_protection: Flag | None = Field(
        None,
        description="The data is deleted only by a command that names the environment. "
        "Without it: true for production.",
        examples=[True],
    )
    pooling: PoolingMode | None = Field(
        None,
        description="How the pooler serves clients that do not say: a server connection for each "
        "session, right for every client, or for each transaction, for many clients that keep "
        "nothing from one transaction to the next.",
        examples=["transaction"],
    )
    postgresql: Version | None = Field(
        None,
        description="PostgreSQL's major version, 14 to 18. Without it: the newest there is.",
        examples=[17],
    )
    migrations: Word | None = Field(
        None,
        description="Folder of schema migrations (Alembic version files), relative to the fleet "
        "file; {service} stands for the service's name.",
        examples=["services/{service}/migrations"],
    )
    load: Word | None = Field(
        None,
        description="Python program that plays customers, relative to the fleet file.",
        examples=["load/customers.py"],
    )
    masking: Word | None = Field(
        None,
        description="SQL that masks copies in other environments, relative to the fleet file.",
        examples=["masking/{service}.sql"],
    )


class Profile(Override):
    """What an environment states once for all of its databases."""

    engine: Word | None = Field(None, description="Where the databases run.")
    network: Network | None = Field(
        None,
        description="The environment's own IPv4 network, needed; no two may overlap.",
        examples=["10.0.0.0/16"],
    )
    availability_domains: Domains | None = Field(
        None,
        description="Availability domains that a database's instances are spread over.",
        examples=[3],
    )
    compartment: Word | None = Field(
        None,
        description="Compartment that holds the environment. Without it: FLEET-ENVIRONMENT.",
        examples=["ecommerce-production"],
    )


class Service(Section):
    """A service: a plain word, or a mapping where it has files in places of its own."""

    name: Name | None = Field(None, description="The service's name.", examples=["order"])
    migrations: Word | None = Field(
        None,
        description="Its folder of Alembic version files, relative to the fleet file.",
        examples=["services/order/migrations"],
    )
    load: Word | None = Field(
        None,
        description="The program that plays its customers, relative to the fleet file.",
        examples=["load/orders.py"],
    )
    masking: Word | None = Field(
        None,
        description="The SQL that masks its copies, relative to the fleet file.",
        examples=["masking/order.sql"],
    )


class MonitoringProfile(Section):
    """Where others may ask how the fleet is."""

    listen: Loopback | None = Field(
        None,
        description="Where the autopilot serves `/metrics`: a loopback address and a port.",
        examples=[str(METRICS)],
    )


MONITORING_EXAMPLE = {"listen": str(METRICS)}
Monitoring = Annotated[
    Annotated[Literal[False], off(in_one_line(MONITORING_EXAMPLE)), Tag("off")]
    | Annotated[MonitoringProfile, Tag("on")],
    Discriminator(_off_or_on),
]


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


ServiceEntry = Annotated[Service, BeforeValidator(_named, json_schema_input_type=Name | Service)]


class FleetFile(Section):
    """Every PostgreSQL database of a company, in every environment."""

    fleet: Name | None = Field(None, description="The fleet's name.", examples=["ecommerce"])
    services: tuple[ServiceEntry | None, ...] | None = Field(
        None,
        description="The services: each owns one database in each environment.",
        examples=[["auth", "user", "order"]],
    )
    migrations: Word | None = Field(
        None,
        description="Folder of schema migrations (Alembic version files), relative to this file; "
        "{service} stands for the service's name.",
        examples=["services/{service}/migrations"],
    )
    load: Word | None = Field(
        None,
        description="Python program that plays customers, relative to this file.",
        examples=["load/customers.py"],
    )
    masking: Word | None = Field(
        None,
        description="SQL that masks copies in other environments, relative to this file.",
        examples=["masking/{service}.sql"],
    )
    monitoring: Monitoring | None = Field(
        None,
        description="Where the autopilot serves metrics to others; false for nowhere.",
        examples=[MONITORING_EXAMPLE, False],
    )
    notifications: Notifications | None = Field(
        None,
        description="Who is told of alerts, in a list. Without it: nobody.",
        examples=[NOTIFICATIONS_EXAMPLE],
    )
    history: History | None = Field(
        None,
        description="The PostgreSQL database in which the history is kept, one of its own. Without "
        "it: a file beside the state folder.",
        examples=[HISTORY_EXAMPLE],
    )
    defaults: Profile | None = Field(
        None, description="What holds in every environment that does not state it itself."
    )
    environments: dict[str, Profile] | None = Field(
        None, description="The environments, each with what its databases share."
    )
    overrides: dict[str, Override] | None = Field(
        None,
        description="What differs for one database, written ENVIRONMENT/SERVICE.",
        examples=[{"production/order": {"ocpus": "8..128"}}],
    )
