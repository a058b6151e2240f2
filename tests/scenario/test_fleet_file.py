"""A fleet file in, a story out: what a user changes in it, and what becomes of the databases."""

import time
from pathlib import Path

import pytest

from pgherd.contract.observed import InstanceState
from pgherd.control.outcome import Outcome
from pgherd.control.up import converge
from pgherd.decide.actions import subject, summary
from pgherd.engines.known import sections
from pgherd.fleet.desired import DatabaseId
from pgherd.fleet.load import load, load_text
from pgherd.testing.clock import FakeClock
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

EXAMPLE = Path(__file__).parents[2] / "examples/ecommerce/fleet.yaml"
ORDER = DatabaseId("production", "order")


class Company:
    """A fleet file that is edited, and the world that follows it."""

    def __init__(self) -> None:
        self.world = World()
        # Its folders are there for its own services only, and services come and go here.
        lines = EXAMPLE.read_text().splitlines(keepends=True)
        self.text = "".join(n for n in lines if not n.startswith(("migrations:", "load:")))

    async def up(self, *named: str) -> Outcome:
        return await converge(
            load_text(self.text, EXAMPLE, sections()),
            {"local": MemoryEngine(self.world, name="local")},
            allow_destroy=named,
            clock=FakeClock(),
        )

    def edit(self, old: str, new: str) -> None:
        assert old in self.text
        self.text = self.text.replace(old, new)


@pytest.fixture
async def company() -> Company:
    company = Company()
    assert (await company.up()).is_complete
    company.world.write(ORDER, "4711 is paid")
    return company


async def test_the_whole_example_is_sixty_serving_instances(company: Company) -> None:
    instances = [i for d in company.world.databases.values() for i in d.instances.values()]
    assert len(company.world.databases) == 30
    assert len(instances) == 60
    assert all(i.serves for i in instances)
    assert (await company.up()).done == ()


async def test_deciding_on_the_whole_example_takes_no_time_to_speak_of(company: Company) -> None:
    started = time.perf_counter()
    await company.up()
    assert time.perf_counter() - started < 1


async def test_the_primary_of_order_dies_while_a_customer_pays(company: Company) -> None:
    primary = company.world.databases[ORDER].primary
    assert primary is not None
    company.world.break_instance(ORDER, primary.name)
    company.world.write(ORDER, "4712 is paid")
    outcome = await company.up()
    assert [(subject(a), summary(a)) for a in outcome.done] == [
        ("production", "set up what its databases share"),
        ("production/order", "repair"),
    ]
    assert company.world.rows(ORDER) == ["4711 is paid", "4712 is paid"]
    assert primary.state is InstanceState.STREAMING


async def test_a_new_service_gets_a_database_everywhere(company: Company) -> None:
    company.edit("services: [auth,", "services: [auth, wishlist,")
    outcome = await company.up()
    assert outcome.is_complete
    made = {subject(a) for a in outcome.done if summary(a) == "create"}
    assert made == {f"{e}/wishlist" for e in ("production", "staging", "development")}


async def test_a_service_that_left_keeps_its_data_until_each_is_named(company: Company) -> None:
    company.edit("order, ", "")
    outcome = await company.up()
    assert outcome.exit_code == 2
    assert {r.flag for r in outcome.refused} == {
        f"{e}/order" for e in ("production", "staging", "development")
    }
    assert company.world.rows(ORDER) == ["4711 is paid"]
    assert (await company.up("staging/order", "development/order")).exit_code == 2
    assert ORDER in company.world.databases
    assert len(company.world.databases) == 28
    assert (await company.up("production/order")).is_complete
    assert ORDER not in company.world.databases


async def test_the_machine_reboots(company: Company) -> None:
    company.world.reboot()
    assert (await company.up()).is_complete
    assert company.world.rows(ORDER) == ["4711 is paid"]
    assert (await company.up()).done == ()


def test_the_example_is_for_the_local_engine() -> None:
    assert {e.engine for e in load(EXAMPLE, sections()).environments} == {"local"}
