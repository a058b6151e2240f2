"""The price table: what is read, what is wrong with it and where, and how money is written."""

from decimal import Decimal
from pathlib import Path

import pytest

from pgherd.errors import InputError
from pgherd.prices.file import SHIPPED, load_prices, read_prices
from pgherd.prices.money import format_money, to_cents

TABLE = """\
currency: EUR
as_of: 2026-11-01
source: our contract
engines:
  ours:
    series:
      small:
        up_to_ocpus: 4
        service_per_ocpu_hour: 0.1
        compute_per_ocpu_hour: {price: 0.02, estimate: a guess}
        memory_per_gb_hour: 0.003
        memory_gb_per_ocpu: 8
    storage_per_gb_month: 0.05
    storage_gb_per_tb: 1000
    storage_limit: 16TB
"""


def complaint(text: str) -> list[str]:
    with pytest.raises(InputError) as error:
        read_prices(text, "p.yaml")
    return error.value.message.splitlines()


def test_a_table_is_read_with_its_marks() -> None:
    table = read_prices(TABLE, "p.yaml")
    assert (table.currency, table.as_of.isoformat(), table.source) == (
        "EUR",
        "2026-11-01",
        "our contract",
    )
    ours = table.engines["ours"]
    small = ours.series["small"]
    assert small.compute_per_ocpu_hour.price == Decimal("0.02")
    assert small.compute_per_ocpu_hour.estimate == "a guess"
    assert small.service_per_ocpu_hour.estimate == ""
    assert ours.storage_limit == 16 * 10**12
    assert ours.performance is None
    assert ours.poolers is None


def test_the_shipped_table_has_a_date_a_source_and_says_what_is_not_certain() -> None:
    table = load_prices()
    assert table.currency == "USD"
    assert table.source
    series = table.engines["oci"].series
    assert series["E6"].compute_per_ocpu_hour.estimate
    assert not series["E5"].compute_per_ocpu_hour.estimate


def test_a_copy_of_the_shipped_table_with_a_byte_order_mark_is_the_same(tmp_path: Path) -> None:
    copy = tmp_path / "prices.yaml"
    copy.write_text(SHIPPED.read_text(), encoding="utf-8-sig")
    assert load_prices(copy) == load_prices()


@pytest.mark.parametrize(("ocpus", "series"), [(1, "E5"), (64, "E5"), (65, "E6"), (1024, "E6")])
def test_the_largest_size_decides_on_the_series(ocpus: int, series: str) -> None:
    assert load_prices().engines["oci"].series_for(ocpus) == series


def test_where_no_series_is_large_enough_the_largest_is_taken() -> None:
    assert read_prices(TABLE, "p.yaml").engines["ours"].series_for(5) == "small"


def test_an_engine_without_prices_is_priced_as_the_first_one() -> None:
    table = read_prices(TABLE, "p.yaml")
    assert table.priced_as("ours") == "ours"
    assert table.priced_as("local") == "ours"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("EUR", "euro", "1:1: currency: 'euro' is not a currency; write its code, as in USD"),
        ("2026-11-01", "2026-13-01", "2:1: as_of: '2026-13-01' is not a day"),
        ("2026-11-01", "20261101", "2:1: as_of: '20261101' is not a day"),
        ("our contract", '"a\\nb"', "3:1: source: 'a\\nb' is not a line of text"),
        ("our contract", '" "', "3:1: source: ' ' is not a line of text"),
        ("source: our contract\n", "", "1:1: source: is missing; write source: and a value"),
        ("our contract", "", "3:1: source: has no value; write one, or remove the key"),
        ("our contract", "[a]", "3:1: source: this is not a single value"),
        ("ours:", "ours: 3\n  x:", "5:3: engines.ours: this is not a mapping"),
        (": 4", ": 0", "8:9: engines.ours.series.small.up_to_ocpus: 0 is too small"),
        ("0.1\n", "10 cents\n", "small.service_per_ocpu_hour: '10 cents' is not a number"),
        ("0.1\n", "-1\n", "small.service_per_ocpu_hour: '-1' is not a number"),
        ("price: 0.02", "prize: 0.02", "10:33: engines.ours.series.small"),
        ("price: 0.02, ", "", "10:9: engines.ours.series.small.compute_per_ocpu_hour.price: is mi"),
        ("16TB", "much", "15:5: engines.ours.storage_limit: 'much' is not a size"),
        ("storage_limit", "storage_end", "15:5: engines.ours.storage_end: unknown key; remove it"),
        ("EUR", "&a EUR\nb: *a", "2:4: aliases are not supported; write the value itself"),
        ("EUR", "EUR\ncurrency: EUR", "2:1: currency: is stated twice, first on line 1; remove"),
        ("EUR", "[EUR", "the text cannot be read"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_way_out(
    old: str, new: str, expected: str
) -> None:
    assert old in TABLE
    lines = complaint(TABLE.replace(old, new, 1))
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("p.yaml:") and "; " in line for line in lines)


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    lines = complaint(TABLE.replace("EUR", "x").replace("16TB", "y").replace("0.05", "z"))
    assert [line.split(":")[1] for line in lines] == ["1", "13", "15"]


@pytest.mark.parametrize("key", ["engines:\n", "    series:\n"])
def test_what_has_nothing_below_it_is_told(key: str) -> None:
    start = TABLE[: TABLE.index(key)] + key.rstrip() + " {}\n"
    assert any("is empty; write at least one below it" in line for line in complaint(start))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("[]", "a list is not a price table"),
        ("x", "a text is not a pri"),
    ],
)
def test_what_is_no_table_at_all_is_told(text: str, message: str) -> None:
    (line,) = complaint(text)
    assert f"p.yaml:1:1: {message}" in line
    assert "start with a copy of the table that pgherd has" in line
    assert "fleet" not in line


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, content, message in [
        (tmp_path / "none", None, "cannot be read: no such file or directory"),
        (tmp_path, None, "cannot be read: is a directory"),
        (tmp_path / "latin", b"\xe9", "is not UTF-8"),
        (tmp_path / "large", b" " * 1_000_001, "is too large for one"),
    ]:
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError) as error:
            load_prices(path)
        assert error.value.message == f"price table {path} {message}"
        assert error.value.hint


@pytest.mark.parametrize(
    ("amount", "currency", "signed", "text"),
    [
        ("16965.12", "USD", False, "$16,965.12"),
        ("16965.12", "USD", True, "+$16,965.12"),
        ("-0.5", "USD", False, "-$0.50"),
        ("1234", "EUR", False, "EUR 1,234.00"),
        ("-1234", "EUR", True, "-EUR 1,234.00"),
        ("0", "USD", True, "+$0.00"),
        ("-0.001", "USD", False, "$0.00"),
        ("0.005", "USD", False, "$0.01"),
    ],
)
def test_money_is_written_one_way(amount: str, currency: str, signed: bool, text: str) -> None:
    assert format_money(Decimal(amount), currency, signed=signed) == text


def test_half_a_cent_goes_up_where_a_banker_would_go_down() -> None:
    assert to_cents(Decimal("0.125")) == Decimal("0.13")
    assert to_cents(Decimal("0.1249999")) == Decimal("0.12")
