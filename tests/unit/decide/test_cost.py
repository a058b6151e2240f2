"""What a fleet costs, and what a plan changes of it: by hand-made sums, and by laws."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.contract.proofs import Hire
from pgherd.decide.cost import (
    Charge,
    FleetCost,
    Poolers,
    Size,
    estimates,
    fleet_cost,
    hire_cost,
    pooler_cost,
    storage_gb,
)
from pgherd.decide.cost_change import Change, cost_change
from pgherd.decide.plan import Plan, plan
from pgherd.decide.removal import destroy_plan, stop_plan
from pgherd.engines.known import sections
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Durability, Fleet, Replicas, Storage
from pgherd.fleet.load import load
from pgherd.prices.file import load_prices
from pgherd.prices.table import Performance, Price, PriceTable
from pgherd.testing.fleets import database, ecommerce, environment, fleet, wishes

EXAMPLE = Path(__file__).parents[3] / "examples/ecommerce/fleet.yaml"
PRICES = load_prices()
OCI = PRICES.engines["oci"]
TB = 10**12
PRODUCTION = environment(engine="oci")


def sized(service: str = "auth", *, most: int | None = 2 * TB, max_ocpus: int = 8) -> Database:
    """Two OCPUs, one to two replicas, 1 TB: 2 x 2 x 0.16 x 730 + 1024 x 0.072 = 540.928."""
    found = database(service, PRODUCTION, ocpus=(2, max_ocpus), replicas=(1, 2))
    return replace(found, storage=Storage(TB, most))


def seen(
    id: DatabaseId,
    *,
    nodes: int = 2,
    ocpus: int | None = 2,
    state: DatabaseState = DatabaseState.RUNNING,
) -> ObservedDatabase:
    stopped = state is DatabaseState.STOPPED
    instances = tuple(
        ObservedInstance(
            f"{id.service}-{number}",
            Role.REPLICA if number else Role.PRIMARY,
            InstanceState.STOPPED if stopped else InstanceState.RUNNING,
        )
        for number in range(nodes)
    )
    return ObservedDatabase(id, state, instances, ocpus, Durability.ASYNCHRONOUS, 17)


def sees(*found: ObservedDatabase) -> Mapping[str, Observation]:
    databases = {each.id: each for each in found}
    return {"oci": Observation(frozenset(i.environment for i in databases), databases)}


def change(wanted: Fleet, now: Mapping[str, Observation | Unknown], steps: Plan) -> Change:
    return cost_change(wanted, steps, now, PRICES)


AUTH, ORDER = sized("auth"), sized("order")
COST = Decimal("540.93")
STORAGE_COST = Decimal("73.73")


def test_the_example_costs_what_was_worked_out_by_hand() -> None:
    found = fleet_cost(load(EXAMPLE, sections()), PRICES)
    # 3 x 2 x 0.16 x 730 + 2048 x 0.072 = 848.256, ten times, and likewise the others.
    assert found.initial.environments == {
        "production": Decimal("8482.60"),
        "staging": Decimal("5409.30"),
        "development": Decimal("3073.30"),
    }
    assert found.initial.total == Decimal("16965.20")
    # 6 x 128 x 0.16 x 730 + 32768 x 0.072 = 92061.696
    assert found.maximum.environments["production"] == Decimal("920617.00")
    assert found.maximum.environments["staging"] == 10 * Decimal("5753.86")
    assert found.maximum.environments["development"] == 10 * COST


def test_a_fleet_of_any_engine_has_a_cost() -> None:
    found = fleet_cost(ecommerce("memory"), PRICES)
    assert {c.priced_as for c in found.databases} == {"oci"}
    assert found.initial.total > 0


def test_initial_is_what_up_makes_and_maximum_where_it_ends() -> None:
    (found,) = fleet_cost(fleet(AUTH), PRICES).databases
    assert found.initial == Charge(Size(2, 2, TB), COST)
    assert found.maximum.size == Size(3, 8, 2 * TB)
    assert (found.priced_as, found.series) == ("oci", "E5")


@pytest.mark.parametrize("most", [None, 40 * TB])
def test_storage_ends_where_the_service_does(most: int | None) -> None:
    (found,) = fleet_cost(fleet(sized(most=most)), PRICES).databases
    assert found.maximum.size.storage_bytes == 32 * TB


def test_the_largest_size_decides_on_the_series_of_all_sizes() -> None:
    (found,) = fleet_cost(fleet(sized(max_ocpus=65)), PRICES).databases
    assert found.series == "E6"


def test_storage_is_counted_once_whatever_the_nodes() -> None:
    two, three = (
        fleet_cost(fleet(replace(AUTH, replicas=Replicas(n, 5))), PRICES).initial.total
        for n in (1, 2)
    )
    assert three - two == Decimal("233.60")


def test_a_terabyte_is_as_many_gigabytes_as_the_table_says() -> None:
    assert storage_gb(Size(1, 1, 2 * TB), OCI) == 2048
    assert storage_gb(Size(1, 1, TB // 2), replace(OCI, storage_gb_per_tb=1000)) == 500


def test_performance_units_count_where_the_table_says_how_many_there_are() -> None:
    performance = Performance(Price(Decimal("0.0017")), Decimal(10))
    table = replace(PRICES, engines={"oci": replace(OCI, performance=performance)})
    more = fleet_cost(fleet(AUTH), table).initial.total - COST
    assert more == Decimal("17.41")  # 1024 GB of 10 units, and the cents of the sum
    none = replace(PRICES, engines={"oci": replace(OCI, performance=None)})
    assert fleet_cost(fleet(AUTH), none).initial.total == COST


def test_current_is_what_is_seen() -> None:
    now = sees(seen(AUTH.id, nodes=3, ocpus=4))
    found = fleet_cost(fleet(AUTH, ORDER), PRICES, now)
    auth, order = found.databases
    assert isinstance(auth.current, Charge)
    assert auth.current.size == Size(3, 4, TB)
    assert order.current is None
    assert found.current.total == auth.current.cost == Decimal("1475.33")
    assert not found.unseen


@pytest.mark.parametrize("ocpus", [2, None])
def test_what_is_stopped_costs_only_its_storage(ocpus: int | None) -> None:
    stopped = seen(AUTH.id, ocpus=ocpus, state=DatabaseState.STOPPED)
    found = fleet_cost(fleet(AUTH), PRICES, sees(stopped))
    assert found.current.total == STORAGE_COST


def test_a_database_seen_without_instances_is_charged_for_its_primary() -> None:
    half_made = seen(AUTH.id, nodes=0, state=DatabaseState.STARTING)
    (found,) = fleet_cost(fleet(AUTH), PRICES, sees(half_made)).databases
    assert isinstance(found.current, Charge)
    assert found.current.size.nodes == 1


def test_what_is_not_seen_is_named_and_counts_nowhere() -> None:
    hidden: Mapping[DatabaseId, ObservedDatabase | Unknown] = {
        AUTH.id: Unknown("no answer"),
        ORDER.id: seen(ORDER.id, ocpus=None),
    }
    cart = sized("cart")
    now = {"oci": Observation(frozenset({"production"}), {**hidden, cart.id: seen(cart.id)})}
    found = fleet_cost(fleet(AUTH, ORDER, cart), PRICES, now)
    assert found.unseen == {AUTH.id: "no answer", ORDER.id: "its OCPUs are not known"}
    assert found.current.total == COST


def test_an_engine_that_is_not_looked_at_or_cannot_see_hides_only_the_current_cost() -> None:
    for now, reason in ((None, "it was not looked at"), ({"oci": Unknown("no answer")}, "no ans")):
        found = fleet_cost(fleet(AUTH), PRICES, now)
        assert reason in found.unseen[AUTH.id]
        assert found.initial.total == COST


def test_poolers_count_for_their_environment() -> None:
    tier = Poolers(machines=3, ocpus=1, memory_gb=8)
    assert pooler_cost(tier, OCI) == Decimal("100.74")  # 3 x 730 x (0.03 + 8 x 0.002)
    found = fleet_cost(fleet(AUTH), PRICES, poolers={"production": tier})
    assert found.initial.total == found.maximum.total - (
        found.databases[0].maximum.cost - found.databases[0].initial.cost
    )
    assert found.initial.environments == {"production": COST + Decimal("100.74")}


def test_poolers_are_where_a_database_is() -> None:
    tier = {"production": Poolers(machines=3, ocpus=1, memory_gb=8)}
    nothing = fleet_cost(fleet(AUTH), PRICES, sees(), poolers=tier)
    assert nothing.current.environments == {"production": Decimal(0)}
    there = fleet_cost(fleet(AUTH), PRICES, sees(seen(AUTH.id)), poolers=tier)
    assert there.current.total == COST + Decimal("100.74")


def test_poolers_without_a_price_are_an_error_with_a_way_out() -> None:
    with pytest.raises(InputError, match="no prices of poolers"):
        pooler_cost(Poolers(1, 1, 1), replace(OCI, poolers=None))


def test_only_the_uncertain_prices_that_count_are_told() -> None:
    def told(found: FleetCost, table: PriceTable = PRICES) -> set[str]:
        return {key.removeprefix("engines.oci.") for key in estimates(found, table)}

    assert told(fleet_cost(fleet(AUTH), PRICES)) == set()
    large = fleet(sized(max_ocpus=128))
    series = {"series.E6.compute_per_ocpu_hour", "series.E6.memory_per_gb_hour"}
    assert told(fleet_cost(large, PRICES)) == series
    guess = Price(Decimal(1), "a guess")
    assert OCI.poolers is not None
    oci = replace(
        OCI,
        storage_per_gb_month=guess,
        performance=Performance(guess, Decimal(1)),
        poolers=replace(OCI.poolers, compute_per_ocpu_hour=guess),
    )
    table = replace(PRICES, engines={"oci": oci})
    shared = {"storage_per_gb_month", "performance.unit_per_gb_month"}
    assert told(fleet_cost(fleet(AUTH), table), table) == shared
    pooled = fleet_cost(fleet(AUTH), table, poolers={"production": Poolers(1, 1, 1)})
    assert told(pooled, table) == {*shared, "poolers.compute_per_ocpu_hour"}


def test_creating_costs_what_initial_says() -> None:
    wanted, now = fleet(AUTH, ORDER), sees(seen(AUTH.id))
    found = change(wanted, now, plan(wishes(wanted), now))
    assert found == Change(COST, 2 * COST)
    assert found.amount == COST


def test_nothing_to_do_changes_nothing() -> None:
    wanted, now = fleet(AUTH), sees(seen(AUTH.id))
    assert change(wanted, now, plan(wishes(wanted), now)).amount == 0


def test_sizes_and_replicas_change_the_cost() -> None:
    wanted, now = fleet(AUTH), sees(seen(AUTH.id, nodes=5, ocpus=16))
    steps = plan(wishes(wanted), now)
    after = change(wanted, now, steps)
    # Moved into the bounds: three nodes of 8 OCPUs.
    assert after.after == Decimal("2876.93")
    assert after.before == Decimal("9417.73")


def test_starting_and_stopping_change_all_but_the_storage() -> None:
    wanted = fleet(AUTH)
    stopped = sees(seen(AUTH.id, state=DatabaseState.STOPPED))
    assert change(wanted, stopped, plan(wishes(wanted), stopped)) == Change(STORAGE_COST, COST)
    running = sees(seen(AUTH.id))
    assert change(wanted, running, stop_plan(running)) == Change(COST, STORAGE_COST)


def test_steps_that_do_not_bear_on_the_size_cost_nothing() -> None:
    wanted = fleet(replace(AUTH, durability=Durability.SYNCHRONOUS))
    now = sees(seen(AUTH.id))
    steps = plan(wishes(wanted), now)
    assert not steps.is_empty
    assert change(wanted, now, steps) == Change(COST, COST)


def test_steps_on_what_is_not_there_any_more_cost_nothing() -> None:
    wanted = fleet(AUTH)
    steps = plan(wishes(wanted), sees(seen(AUTH.id, nodes=5)))
    assert not steps.is_empty
    assert change(wanted, {"oci": Observation()}, steps) == Change(Decimal(0), Decimal(0))


def test_a_start_of_unknown_size_is_not_known() -> None:
    wanted = fleet(AUTH)
    now = sees(seen(AUTH.id, ocpus=None, state=DatabaseState.STOPPED))
    assert change(wanted, now, plan(wishes(wanted), now)) == Change(
        Decimal(0), Decimal(0), (AUTH.id,)
    )


def test_deleting_ends_all_cost() -> None:
    wanted, now = fleet(AUTH), sees(seen(AUTH.id))
    assert change(wanted, now, destroy_plan(wanted, now)) == Change(COST, Decimal(0))


def test_what_left_the_fleet_file_counts_without_its_storage() -> None:
    wanted, now = fleet(AUTH), sees(seen(AUTH.id), seen(ORDER.id))
    without = COST - STORAGE_COST
    kept = change(wanted, now, plan(wishes(wanted), now))
    assert kept.amount == 0
    assert kept.without_storage == (ORDER.id,)
    gone = change(wanted, now, plan(wishes(wanted), now, allow_destroy={str(ORDER.id)}))
    assert (gone.before, gone.after) == (COST + without, COST)


def test_what_is_not_seen_is_named_and_left_out_of_the_change() -> None:
    other = replace(sized("cart"), environment=environment("staging", engine="blind"))
    cart = replace(other, id=DatabaseId("staging", "cart"))
    hidden: Mapping[DatabaseId, ObservedDatabase | Unknown] = {
        AUTH.id: Unknown("no answer"),
        ORDER.id: seen(ORDER.id),
    }
    now: Mapping[str, Observation | Unknown] = {
        "oci": Observation(frozenset({"production"}), hidden),
        "blind": Unknown("no answer"),
    }
    wanted = fleet(AUTH, ORDER, cart)
    found = change(wanted, now, plan(wishes(wanted), now))
    assert found.unknown == (AUTH.id, cart.id)
    assert found.before == found.after == COST


SIZES = st.builds(
    seen,
    st.just(AUTH.id),
    nodes=st.integers(1, 8),
    ocpus=st.integers(1, 128),
    state=st.sampled_from([DatabaseState.RUNNING, DatabaseState.STOPPED]),
)


@given(SIZES, st.integers(1, 128), st.integers(0, 7))
def test_a_plan_says_what_the_world_costs_after_it(
    now: ObservedDatabase, most: int, replicas: int
) -> None:
    wanted = fleet(replace(sized(max_ocpus=max(most, 2)), replicas=Replicas(0, replicas)), ORDER)
    before = sees(now, seen(ORDER.id))
    found = change(wanted, before, plan(wishes(wanted), before))
    ocpus = max(2, min(now.ocpus or 0, max(most, 2)))
    nodes = 1 + min(len(now.instances) - 1, replicas)
    after = sees(seen(AUTH.id, nodes=nodes, ocpus=ocpus), seen(ORDER.id))
    assert found.before == fleet_cost(wanted, PRICES, before).current.total
    assert found.after == fleet_cost(wanted, PRICES, after).current.total


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 7)), min_size=1, max_size=5))
def test_every_total_is_the_sum_of_what_is_shown(shapes: list[tuple[int, int]]) -> None:
    databases = [
        replace(sized(f"s{n}", max_ocpus=ocpus), replicas=Replicas(0, replicas))
        for n, (ocpus, replicas) in enumerate(shapes)
    ]
    found = fleet_cost(fleet(*databases), PRICES)
    for month, costs in (
        (found.initial, [c.initial.cost for c in found.databases]),
        (found.maximum, [c.maximum.cost for c in found.databases]),
    ):
        assert month.total == sum(costs) == sum(month.environments.values())
        assert all(cost == cost.quantize(Decimal("0.01")) for cost in costs)


@pytest.mark.parametrize(
    ("hire", "cost"),
    [
        (Hire(1, 3600.0), "0.16"),
        (Hire(2, 1800.0, TB), "0.21"),  # 2 x 0.16 / 2 + 1024 x 0.072 / 730 / 2
        (Hire(1, 0.0, TB), "0.00"),
    ],
)
def test_a_drill_costs_its_part_of_a_month(hire: Hire, cost: str) -> None:
    assert hire_cost(hire, OCI) == Decimal(cost)
