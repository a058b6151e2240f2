"""`cost`, and the cost in `plan`: what they print, and what they do where nothing is seen."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from shop import AUTH, FLEET, Shop

from pgherd.cli.main import cli
from pgherd.cli.surroundings import Surroundings
from pgherd.contract.engine import Engine
from pgherd.decide.cost import Poolers, fleet_cost
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.fleet.desired import Fleet
from pgherd.prices.file import SHIPPED, load_prices
from pgherd.report.cost_json import cost_json
from pgherd.report.cost_tables import cost_notes, cost_tables
from pgherd.testing.fleets import database, fleet
from pgherd.testing.memory.engine import MemoryEngine

# A production database: 2 x 2 x 0.16 x 730 + 1024 x 0.072, to 3 x 8; staging's: one node of 2.
INITIAL = {"production": 1081.86, "staging": 614.66}
MAXIMUM = {"production": 5753.86, "staging": 614.66}


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """The user's own table, in euros, with prices of the local engine."""
    path = tmp_path / "prices.yaml"
    path.write_text(SHIPPED.read_text().replace("USD", "EUR").replace("  oci:", "  local:"))
    return path


def test_json_has_the_form_that_programs_rely_on(shop: Shop) -> None:
    found = shop.json("cost", "--no-current")
    assert (found["currency"], found["as_of"]) == ("USD", "2026-08-21")
    assert found["month"]["initial"] == {"total": 1696.52, "environments": INITIAL}
    assert found["month"]["maximum"] == {"total": 6368.52, "environments": MAXIMUM}
    assert found["month"]["current"] is None


def test_json_says_what_each_amount_is_made_of(running: Shop) -> None:
    found = running.json("cost")
    auth = found["databases"][0]
    assert auth["initial"] == {
        "nodes": 2,
        "ocpus": 2,
        "runs": True,
        "storage_bytes": 10**12,
        "storage_gb": 1024.0,
        "cost": 540.93,
    }
    assert auth["current"] == auth["initial"]
    assert (auth["service"], auth["series"], auth["engine"]) == ("auth", "E5", "local")
    assert found["priced_as"] == {"production": "oci", "staging": "oci"}
    assert found["source"]
    assert found["estimates"] == {}
    assert "backups" in found["not_counted"]


def test_tables_are_a_line_a_database_and_add_up(running: Shop) -> None:
    lines = running.out("cost").splitlines()
    assert lines[0] == "production: initial 2 x 2 OCPUs and 1TB, maximum 3 x 8 OCPUs and 1TB"
    assert lines[1].split() == ["Database", "Initial", "Current", "Maximum"]
    assert lines[3] == "auth        $540.93    $540.93  $2,876.93"
    assert lines[5] == "in all    $1,081.86  $1,081.86  $5,753.86"
    assert "in all       $1,696.52  $1,696.52  $6,368.52" in lines
    assert "production and staging run on this machine; priced as on oci" in lines


def test_what_is_not_there_costs_nothing_now(shop: Shop) -> None:
    result = shop.run("cost")
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[3].split() == ["auth", "$540.93", "absent", "$2,876.93"]
    assert lines[5].split() == ["in", "all", "$1,081.86", "$0.00", "$5,753.86"]


def test_what_is_stopped_costs_its_storage(running: Shop) -> None:
    running.out("down", "production/auth")
    auth, *_ = running.json("cost")["databases"]
    assert (auth["current"]["runs"], auth["current"]["cost"]) == (False, 73.73)


def test_what_gives_no_answer_is_not_known_and_the_rest_is(running: Shop) -> None:
    running.world.hide(AUTH)
    result = running.run("cost")
    assert result.exit_code == 0
    assert result.stderr == ("error: production/auth: the current cost is not known: no answer\n")
    lines = result.stdout.splitlines()
    assert lines[3].split() == ["auth", "$540.93", "not", "known", "$2,876.93"]
    assert lines[5].split() == ["in", "all", "$1,081.86", "$540.93", "+", "?", "$5,753.86"]
    assert running.json("cost")["month"]["current"]["unknown"] == {"production/auth": "no answer"}


@pytest.mark.parametrize("kind", [TryLater, NeedsHuman])
def test_where_an_engine_cannot_see_the_rest_is_said(
    running: Shop, kind: type[PgherdError]
) -> None:
    running.world.blind_next(kind("the machine does not answer"))
    result = running.run("cost", "--environment", "staging")
    assert result.exit_code == 0
    assert result.stderr == (
        "error: staging/auth, staging/order: the current cost is not known: "
        "the machine does not answer\n"
    )
    assert "in all    $614.66  not known  $614.66" in result.stdout.splitlines()


def run_without_oci(shop: Shop, *arguments: str) -> Result:
    """Where the library of one of two engines is missing."""

    def open_engines(fleet: Fleet) -> Mapping[str, Engine]:
        if any(environment.engine == "oci" for environment in fleet.environments):
            raise InputError("engine oci is not installed", "install it")
        return {"local": MemoryEngine(shop.world, name="local")}

    oci = "engine: oci, oci: {region: eu-frankfurt-1, parent: ocid1.compartment.oc1..aaaa}"
    shop.write(FLEET.replace("staging: {", f"staging: {{{oci}, "))
    surroundings = Surroundings(open_engines=open_engines)
    variables = {"PGHERD_FILE": str(shop.file)}
    return CliRunner(env=variables).invoke(cli, ["cost", *arguments], obj=surroundings)


def test_an_engine_that_cannot_be_opened_hides_only_what_it_has_now(shop: Shop) -> None:
    shop.out("up")
    result = run_without_oci(shop)
    assert result.exit_code == 0, result.output
    assert result.stderr.endswith("is not known: engine oci is not installed\n")
    last = [line for line in result.stdout.splitlines() if line.startswith("in all")][-1]
    assert last.split() == ["in", "all", "$1,696.52", "$1,081.86", "+", "?", "$6,368.52"]
    assert "production runs on this machine; priced as on oci" in result.stdout


def test_no_current_opens_no_engine(shop: Shop) -> None:
    result = run_without_oci(shop, "--no-current")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "Current" not in result.stdout


def test_one_environment_alone(shop: Shop) -> None:
    found = shop.json("cost", "--environment", "staging")
    assert found["month"]["initial"] == {"total": 614.66, "environments": {"staging": 614.66}}
    complaint = shop.err("cost", "--environment", "stagin", exit_code=2)
    assert "write one of production, staging" in complaint


def test_the_users_own_prices_hold(shop: Shop, prices: Path) -> None:
    out = shop.out("cost", "--no-current", "--prices", str(prices))
    assert "auth        EUR 540.93  EUR 2,876.93" in out.splitlines()
    assert "priced as on" not in out


def test_the_users_own_prices_may_stand_in_the_environment(
    shop: Shop, prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHERD_PRICES", str(prices))
    assert shop.json("cost", "--no-current")["currency"] == "EUR"
    assert shop.json("plan")["cost"]["currency"] == "EUR"


def test_wrong_prices_are_told_line_by_line(shop: Shop, prices: Path) -> None:
    text = prices.read_text().replace("EUR", "eur").replace("0.072", "cheap")
    prices.write_text(text)
    lines = shop.err("cost", "--prices", str(prices), exit_code=2).splitlines()
    assert [line.startswith(f"error: {prices}:") for line in lines] == [True, True]


def test_alike_or_not(shop: Shop) -> None:
    shop.write(FLEET + "overrides: {production/order: {ocpus: 4..8}}\n")
    first, *_ = shop.out("cost", "--no-current").splitlines()
    assert first == "production"


def test_notes_say_what_was_assumed() -> None:
    table = load_prices()
    notes = list(cost_notes(fleet_cost(fleet(database(ocpus=(2, 128))), table), table))
    assert notes[0] == "prices of 2026-08-21, 730 hours a month"
    assert notes[1].startswith("source: Oracle's list prices")
    assert notes[2:] == [
        "production runs on memory, which has no prices; priced as on oci",
        "maximum storage of 1 database counts as 32TB, where the service ends",
        "estimate: E6 has no known price and counts as E5",
        "not counted: backups, traffic, keys, performance units and pooler machines",
    ]
    assert max(map(len, notes)) <= 80


def test_poolers_have_a_row_and_are_counted() -> None:
    table = load_prices()
    tier = {"production": Poolers(machines=3, ocpus=1, memory_gb=8)}
    cost = fleet_cost(fleet(database()), table, poolers=tier)
    production, _ = cost_tables(cost, table, current=False)
    assert [cell.strip() for cell in production.rows[1]] == ["poolers", "$100.74", "$100.74"]
    assert not any("poolers" in note for note in cost_notes(cost, table))
    assert cost_json(cost, table, current=False)["poolers"] == {"production": 100.74}


def test_plan_ends_with_what_its_steps_cost(shop: Shop) -> None:
    lines = shop.out("plan").splitlines()
    assert lines[-2:] == [
        "these steps change the monthly cost by +$1,696.52, to $1,696.52",
        "production and staging run on this machine; priced as on oci",
    ]
    assert shop.json("plan")["cost"] == {
        "currency": "USD",
        "as_of": "2026-08-21",
        "month": {"before": 0.0, "after": 1696.52, "change": 1696.52},
        "unknown": [],
        "without_storage": [],
    }


def test_plan_says_how_much_a_change_of_the_fleet_file_costs(running: Shop) -> None:
    running.write(FLEET.replace("replicas: 1..2", "replicas: 2..2"))
    line = running.out("plan").splitlines()[-2]
    assert line == "these steps change the monthly cost by +$467.20, to $2,163.72"


def test_plan_says_what_it_does_not_know(running: Shop) -> None:
    running.write(
        FLEET.replace("replicas: 1..2", "replicas: 2..2").replace("[auth, order]", "[auth, cart]")
    )
    running.world.hide(AUTH)
    lines = running.out("plan", exit_code=2).splitlines()
    (line,) = [x for x in lines if x.startswith("these steps")]
    assert line.endswith(
        "; not known for 1 database; without the storage of 2 databases not in the fleet file"
    )


def test_a_plan_that_costs_nothing_says_so(running: Shop) -> None:
    running.heads = {AUTH: "0001"}
    line = running.out("plan").splitlines()[-2]
    assert line == "these steps leave the monthly cost at $1,696.52"


def test_plan_takes_the_users_prices(shop: Shop, prices: Path) -> None:
    assert "by +EUR 1,696.52, to EUR 1,696.52" in shop.out("plan", "--prices", str(prices))
