"""Each way a fleet file can be wrong: what is said, and the line and column that it is said of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgherd.engines.known import sections
from pgherd.fleet.desired import Fleet
from pgherd.fleet.load import load, load_text
from pgherd.fleet.problem import FleetFileError, Problem

Report = Callable[[str], list[str]]
START = "start with fleet: NAME, then services: and environments:"
CHECK = "check indentation, colons, quotes and brackets here"
VALID = """\
fleet: shop
services: [auth, order]
environments:
  production:
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2..8
    storage: 1TB
    replicas: 1..2
  dev:
    network: 10.1.0.0/16
    ocpus: 2
    storage: 1TB
"""


def test_the_fleet_that_the_cases_vary_is_valid(read: Callable[[str], Fleet]) -> None:
    assert len(read(VALID).databases) == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", f"fleet.yaml:1:1: the file is empty; {START}"),
        ("# nothing\n", f"fleet.yaml:1:1: the file is empty; {START}"),
        ("~", f"fleet.yaml:1:1: a text is not a fleet; {START}"),
        ("\n  hello", f"fleet.yaml:2:3: a text is not a fleet; {START}"),
        ("- a", f"fleet.yaml:1:1: a list is not a fleet; {START}"),
        ("a: b\n\tc: d", "fleet.yaml:2:1: a tab is not allowed here; write spaces"),
        ("a:\n\t b: c", "fleet.yaml:2:1: a tab is not allowed here; write spaces"),
        (
            "a: [b",
            "fleet.yaml:1:6: the text cannot be read: while parsing a flow sequence "
            f"expected ',' or ']', but got '<stream end>'; {CHECK}",
        ),
        (
            "a: b: c",
            "fleet.yaml:1:5: the text cannot be read: mapping values are not allowed here; "
            f"{CHECK}",
        ),
        (
            "a: b\n---\nc: d",
            "fleet.yaml:2:1: the text cannot be read: expected a single document in the stream "
            f"but found another document; {CHECK}",
        ),
        (
            "a: " + "[" * 16,
            f"fleet.yaml:1:19: the text cannot be read: nested too deeply; {CHECK}",
        ),
        ("a: b\nc: \x07", r"fleet.yaml:2:4: character '\x07' is not allowed; remove it"),
        ('a: "\\UFFFFFFFF"', "fleet.yaml:1:7: this escape is no character; remove it"),
    ],
)
def test_what_is_not_a_mapping_in_yaml(report: Report, text: str, line: str) -> None:
    assert report(text) == [line]


FILE_CASES: list[tuple[str, str, list[str]]] = [
    # Keys, as YAML
    (
        "    ocpus: 2..8",
        "    ocpus: 2..8\n    ocpus: 3",
        ["8:5: ocpus: is stated twice, first on line 7; remove one"],
    ),
    (
        "  production:",
        "  production:\n    ? [a]\n    : b",
        ["5:7: a key must be a word; write KEY: VALUE"],
    ),
    (
        "  dev:",
        "  dev:\n    <<: {ocpus: 2}",
        ["11:5: merges (<<) are not supported; write values that are shared under defaults"],
    ),
    (
        "    ocpus: 2\n",
        "    ocpus: *x\n",
        ["12:12: aliases are not supported; write values that are shared under defaults"],
    ),
    (
        "  dev:",
        "  dev:\n    *x : 2",
        ["11:5: aliases are not supported; write values that are shared under defaults"],
    ),
    (
        "[auth, order]",
        "[auth, *x, order]",
        ["2:18: aliases are not supported; write values that are shared under defaults"],
    ),
    ("2..8", "!x 2..8", ["7:12: tag '!x' is not supported; remove it"]),
    ("[auth, order]", "[auth, ~, order]", ["2:18: an item is empty; write a value or remove it"]),
    (
        "    ocpus: 2..8",
        "    ocpus:",
        ["7:5: ocpus: has no value; write one, or remove the key"],
    ),
    (
        "[auth, order]",
        "[auth, {name: order, load: }]",
        ["2:32: load: has no value; write one, or remove the key"],
    ),
    # Keys, as known
    ("    replicas: 1..2", "    replicsa: 1", ["9:5: replicsa: unknown key; write replicas"]),
    ("    replicas: 1..2", "    Replicas: 1", ["9:5: Replicas: unknown key; write replicas"]),
    (
        "fleet: shop",
        "fleet: shop\nocpus: 2",
        ["2:1: ocpus: unknown key; write it under defaults or under an environment"],
    ),
    (
        "fleet: shop",
        'fleet: shop\n"x\\ny": 2',
        [
            r"2:1: 'x\ny': unknown key; write one of fleet, services, migrations, load, "
            "masking, monitoring, notifications, history, defaults, environments, overrides"
        ],
    ),
    (
        "    ocpus: 2\n",
        "    ocpus: 2\n    backup: {retain: 3d}\n    local: {core: 1}\n    autoscale: {cpus: 3%}\n",
        [
            "13:14: retain: unknown key; write retention",
            "14:13: core: unknown key; write core_per_ocpu",
            "15:17: cpus: unknown key; write cpu",
        ],
    ),
    (
        "[auth, order]",
        "[auth, {nam: order}]",
        [
            "2:18: services: name is missing; write name:",
            "2:19: nam: unknown key; write name",
        ],
    ),
    (
        "  dev:\n    network: 10.1.0.0/16",
        "  oci:\n    netwrk: 10.1.0.0/16",
        [
            "10:3: oci: network is missing; write network: 10.0.0.0/16",
            "11:5: netwrk: unknown key; write network",
        ],
    ),
    # Kinds of values
    (
        "    ocpus: 2..8",
        "    ocpus: [2, 8]",
        ["7:5: ocpus: a list is not a value; write one value after the colon"],
    ),
    (
        "    ocpus: 2\n",
        "    ocpus: 2\n    backup: 30d\n",
        ["13:5: backup: this is not a mapping; write KEY: VALUE below it"],
    ),
    ("[auth, order]", "auth", ["2:1: services: this is not a list; write [ONE, TWO]"]),
    (
        "[auth, order]",
        "[auth, [order]]",
        ["2:18: services: this is not a mapping; write KEY: VALUE below it"],
    ),
    # Values
    ("2..8", "2..1", ["7:5: ocpus: max 1 is below initial 2; write 2..2 or more"]),
    ("2..8", "two", ["7:5: ocpus: 'two' is not a whole number; write digits only, as in 2"]),
    ("2..8", "0..8", ["7:5: ocpus: 0 is out of range; write OCPUs from 1 to 1024"]),
    ("2..8", "2..unlimited", ["7:5: ocpus: max cannot be unlimited; write one as in 2..128"]),
    ("1..2", "2..1", ["9:5: replicas: max 1 is below min 2; write 2..2 or more"]),
    ("1..2", "1..16", ["9:5: replicas: 16 is out of range; write replicas from 0 to 15"]),
    (
        "    replicas: 1..2",
        "    replicas: 1\n    storage: 2TB",
        ["10:5: storage: is stated twice, first on line 8; remove one"],
    ),
    (
        "10.0.0.0/16",
        "10.0.5.0/16",
        ["5:5: network: '10.0.5.0/16' has host bits set; write 10.0.0.0/16"],
    ),
    *(
        (
            "10.0.0.0/16",
            bad,
            [f"5:5: network: '{bad}' is not an IPv4 network; write one as in 10.0.0.0/16"],
        )
        for bad in ("10.0.0.0", "10.0.0.0/33", "ten", "fd00::/8", "10.0.0/16")
    ),
    *(
        ("    ocpus: 2\n", f"    ocpus: 2\n    {key}: {value}\n", [f"13:5: {key}: {said}"])
        for key, value, said in [
            (
                "engine",
                "kubernetes",
                "kubernetes is reserved for a later version; write local or oci",
            ),
            ("engine", "aws", "'aws' is unknown; write local or oci"),
            ("durability", "sync", "'sync' is unknown; write synchronous or asynchronous"),
            ("deletion_protection", "yes", "'yes' is unknown; write true or false"),
            (
                "autoscale",
                "maybe",
                "'maybe' is unknown; write {cpu: 80%, memory: 80%}, or false for none",
            ),
            ("postgresql", "13", "13 is out of range; write a major version from 14 to 18"),
            ("postgresql", "16.2", "'16.2' is not a whole number; write digits only, as in 2"),
            (
                "availability_domains",
                "0",
                "0 is out of range; write availability domains from 1 to 9",
            ),
            ("compartment", '" x"', "' x' is not a name; write one word"),
        ]
    ),
    *(
        (
            "    ocpus: 2\n",
            f"    ocpus: 2\n    backup: {{retention: {value}}}\n",
            [f"13:14: retention: {said}"],
        )
        for value, said in [
            ("0d", "'0d' is no retention; write one from 1d to 3650d"),
            ("3651d", "'3651d' is no retention; write one from 1d to 3650d"),
            ("30", "'30' is not a number of days; write one as in 30d"),
        ]
    ),
    *(
        (
            "    ocpus: 2\n",
            f"    ocpus: 2\n    drills: {{restore: {value}}}\n",
            [f"13:14: restore: {said}"],
        )
        for value, said in [
            ("0d", "'0d' is not how often; write one from 1d to 366d"),
            ("367d", "'367d' is not how often; write one from 1d to 366d"),
            ("7", "'7' is not a number of days; write one as in 30d"),
        ]
    ),
    *(
        (
            "    ocpus: 2\n",
            f"    ocpus: 2\n    objectives: {{rpo: {value}}}\n",
            [f"13:18: rpo: {said}"],
        )
        for value, said in [
            ("0s", "'0s' is no objective; write one from 1s to 24h"),
            ("25h", "'25h' is no objective; write one from 1s to 24h"),
            ("soon", "'soon' is not a duration; write one as in 90s, 15m or 1h30m"),
        ]
    ),
    *(
        (
            "    ocpus: 2\n",
            f"    ocpus: 2\n    autoscale: {{memory: {value}}}\n",
            [f"13:17: memory: {said}"],
        )
        for value, said in [
            ("0%", "'0%' is no threshold; write one from 1% to 99%"),
            ("100%", "'100%' is no threshold; write one from 1% to 99%"),
            ("101%", "'101%' is more than 100%; write 100% or less"),
            ("80", "'80' is not a percentage; write one as in 80%"),
        ]
    ),
    *(
        (
            "    ocpus: 2\n",
            f"    ocpus: 2\n    local: {{{key}: {value}}}\n",
            [f"13:13: {key}: {said}"],
        )
        for key, value, said in [
            (
                "core_per_ocpu",
                "0",
                "'0' is not a share of a core; write one from 0.001 to 64, as in 0.1",
            ),
            (
                "core_per_ocpu",
                "nan",
                "'nan' is not a share of a core; write one from 0.001 to 64, as in 0.1",
            ),
            (
                "core_per_ocpu",
                "much",
                "'much' is not a share of a core; write one from 0.001 to 64, as in 0.1",
            ),
            ("memory_per_ocpu", "0B", "0 bytes hold nothing; write a size as in 2TB"),
        ]
    ),
    # Names
    (
        "fleet: shop",
        "fleet: My Shop",
        [
            "1:1: fleet: 'My Shop' is not a name; write up to 31 of a-z, 0-9 and -, and a letter "
            "first, as in my-shop"
        ],
    ),
    (
        "[auth, order]",
        "[auth, 9]",
        ["2:18: services: '9' is not a name; write up to 31 of a-z, 0-9 and -, and a letter first"],
    ),
    (
        "[auth, order]",
        f"[auth, {'x' * 32}]",
        [
            f"2:18: services: '{'x' * 32}' is not a name; write up to 31 of a-z, 0-9 and -, and "
            "a letter first"
        ],
    ),
    *(
        (
            "[auth, order]",
            f"[auth, {word}]",
            [f"2:18: services: '{word}' means a boolean or nothing to YAML; choose another word"],
        )
        for word in ("on", "no", "y", "true")
    ),
    *(
        (
            "[auth, order]",
            f"[auth, {word}]",
            [f"2:18: services: '{word}' is reserved; choose another name for the service"],
        )
        for word in (
            "postgres",
            "template0",
            "template1",
            "pgbouncer",
            "replication",
            "replicator",
            "rewind",
            "all",
            "pg",
            "samegroup",
            "samerole",
            "sameuser",
        )
    ),
    (
        "[auth, order]",
        "[auth, order-ro, order_ro]",
        [
            "2:18: services: 'order-ro' ends in -ro, which marks names of a database in its "
            "pooler; choose another ending",
            "2:28: services: 'order_ro' ends in _ro, which marks names of a database in its "
            "pooler; choose another ending",
        ],
    ),
    (
        "  dev:",
        "  all:",
        ["10:3: environments: 'all' is reserved; choose another name for the environment"],
    ),
    (
        "  dev:",
        "  off:",
        ["10:3: environments: 'off' means a boolean or nothing to YAML; choose another word"],
    ),
    (
        "[auth, order]",
        "[auth, order, {name: auth}]",
        ["2:26: services: 'auth' is stated twice, first on line 2; remove one"],
    ),
    (
        "fleet: shop\nservices: [auth, order]",
        f"fleet: {'f' * 25}\nservices: [auth, {'s' * 25}]",
        [
            f"4:3: environments: name '{'f' * 25}-production-...' has 65 characters, 63 fit; "
            "choose shorter names"
        ],
    ),
    (
        "[auth, order]\nenvironments:\n",
        "[a, b-a]\nenvironments:\n  dev-b: {network: 10.2.0.0/16, ocpus: 2, storage: 1TB}\n",
        [
            "11:3: environments: dev/b-a and dev-b/a would both be named 'shop-dev-b-a-db'; "
            "choose another name"
        ],
    ),
    # What is missing
    (
        "fleet: shop",
        "load: x.py",
        [
            "1:1: fleet: is missing; write fleet: NAME",
            "1:1: load: 'x.py' is not a file; create it, or write another one",
        ],
    ),
    (
        "fleet: shop",
        "fleet: ''",
        [
            "1:1: fleet: '' is not a name; write up to 31 of a-z, 0-9 and -, and a letter first",
        ],
    ),
    ("[auth, order]", "[]", ["2:1: services: is empty; write services: [ONE, TWO]"]),
    (
        "    ocpus: 2\n    storage: 1TB\n",
        "",
        [
            "10:3: dev: ocpus is missing; write ocpus: 2..4",
            "10:3: dev: storage is missing; write storage: 1TB",
        ],
    ),
    (
        "    network: 10.1.0.0/16\n",
        "",
        ["10:3: dev: network is missing; write network: 10.0.0.0/16"],
    ),
    # What does not fit together
    (
        "10.1.0.0/16",
        "10.0.128.0/17",
        ["11:5: network: 10.0.128.0/17 overlaps 10.0.0.0/16 of production; write another one"],
    ),
    (
        "environments:\n",
        "defaults:\n  network: 10.0.0.0/8\nenvironments:\n  qa: {ocpus: 2, storage: 1TB}\n"
        "  lab: {ocpus: 2, storage: 1TB}\n",
        [
            "7:3: network: 10.0.0.0/8 overlaps 10.0.0.0/8 of qa; write another one",
            "9:5: network: 10.0.0.0/16 overlaps 10.0.0.0/8 of qa; write another one",
            "15:5: network: 10.1.0.0/16 overlaps 10.0.0.0/8 of qa; write another one",
        ],
    ),
    (
        "availability_domains: 3",
        "availability_domains: 1",
        [
            "9:5: replicas: production has 1 availability domain, no room for a replica; write "
            "replicas: 0, or availability_domains: 2 or more"
        ],
    ),
    (
        "    ocpus: 2\n",
        "    ocpus: 2\n    durability: synchronous\n",
        [
            "13:5: durability: dev may have 0 replicas to be synchronous with; write "
            "asynchronous, or replicas: 1"
        ],
    ),
    (
        "    replicas: 1..2\n",
        "    replicas: 0..2\n    durability: synchronous\n",
        [
            "10:5: durability: production may have 0 replicas to be synchronous with; write "
            "asynchronous, or replicas: 1..2"
        ],
    ),
    (
        "fleet: shop",
        "fleet: shop\noverrides:\n  dev/auth: {replicas: 0..1}\n  production/auth: {replicas: 0, "
        "durability: synchronous}",
        [
            "3:14: replicas: dev/auth has 1 availability domain, no room for a replica; write "
            "replicas: 0, or availability_domains: 2 or more",
            "4:34: durability: production/auth may have 0 replicas to be synchronous with; write "
            "asynchronous, or replicas: 1",
        ],
    ),
    (
        "    replicas: 1..2\n",
        "    replicas: 1..8\n    engine: oci\n    backup: {retention: 36d}\n",
        [
            "9:5: replicas: oci has at most 7 replicas; write 7 or less",
            "11:14: retention: oci keeps backups for at most 35d; write 35d or less, "
            "or oci: {accept: [retention]}",
        ],
    ),
    (
        "    replicas: 1..2\n",
        "    replicas: 1..2\n    engine: oci\n    backup: {copy_to: [us-ashburn-1, there]}\n"
        "    oci:\n      region: us-ashburn-1\n",
        [
            "11:24: copy_to: 'us-ashburn-1' is the region of the database itself; write another "
            "region",
            "11:38: copy_to: 'there' is not a region of oci; write one as in us-phoenix-1",
        ],
    ),
    (
        "    replicas: 1..2\n",
        "    replicas: 1..2\n    engine: oci\n    oci:\n      region: Ashburn\n"
        "      parent: ocid1.vcn.oc1.iad.a\n      iops: 5\n      pooler: yes\n"
        "      accept: [max-ocpus, anything]\n",
        [
            "12:7: region: 'Ashburn' is not a region; write one as in us-ashburn-1",
            "13:7: parent: 'ocid1.vcn.oc1.iad.a' is not the OCID of a compartment; write one as "
            "in ocid1.compartment.oc1..aaaa",
            "14:7: iops: 5 is not a performance tier; write one of 75000, 150000, 225000, 300000",
            "15:7: pooler: 'yes' is unknown; write create or render",
            "16:27: accept: 'anything' is unknown; write max-ocpus or storage or "
            "availability-domains or retention",
        ],
    ),
    (
        "fleet: shop",
        "fleet: shop\noverrides:\n  production/ordr: {ocpus: 4}\n  xyzzy: {ocpus: 4}\n",
        [
            "3:3: overrides: 'production/ordr' is not a database of this fleet; write "
            "production/order",
            "4:3: overrides: 'xyzzy' is not a database of this fleet; write one as in "
            "production/auth",
        ],
    ),
    (
        "fleet: shop",
        "fleet: shop\noverrides:\n  dev/auth: {network: 10.3.0.0/16}\n",
        [
            "3:14: network: unknown key; write it under the environment, it holds for all of its "
            "databases"
        ],
    ),
    (
        "fleet: shop",
        "fleet: shop\nmigrations: services/{service}/migrations\nload: load.py\n"
        "masking: masks/{service}.sql",
        [
            "2:1: migrations: 'services/auth/migrations' is not a folder; create it, or write "
            "another one",
            "2:1: migrations: 'services/order/migrations' is not a folder; create it, or write "
            "another one",
            "3:1: load: 'load.py' is not a file; create it, or write another one",
            "4:1: masking: 'masks/auth.sql' is not a file; create it, or write another one",
            "4:1: masking: 'masks/order.sql' is not a file; create it, or write another one",
        ],
    ),
    (
        "fleet: shop",
        f'fleet: shop\nmigrations: {"x" * 300}\nload: "a/\\ud800"',
        [
            f"2:1: migrations: '{'x' * 37}...' is not a folder; create it, or write another one",
            r"3:1: load: 'a/\\ud800' is not a file; create it, or write another one",
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "lines"), FILE_CASES)
def test_each_problem_is_told_where_it_is(
    report: Report, old: str, new: str, lines: list[str]
) -> None:
    assert old in VALID
    assert report(VALID.replace(old, new, 1)) == [f"fleet.yaml:{line}" for line in lines]


def test_all_problems_are_told_at_once_in_the_order_of_the_file(report: Report) -> None:
    text = VALID.replace("2..8", "2..1").replace("auth, order", "auth, all").replace("1..2", "x")
    assert [line.split(" ")[0] for line in report(text.replace("10.1", "10.0"))] == [
        "fleet.yaml:2:18:",
        "fleet.yaml:7:5:",
        "fleet.yaml:9:5:",
        "fleet.yaml:11:5:",
    ]


@pytest.mark.parametrize(
    "text",
    [
        VALID.replace("    network: 10.0.0.0/16", "    network: x"),
        VALID.replace("    ocpus: 2..8", "    ocpus: x"),
        VALID.replace("domains: 3", "domains: x"),
        VALID.replace("1..2", "x\n    durability: synchronous"),
        VALID.replace("fleet: shop", "fleet: [x]"),
        VALID.replace("[auth, order]", "{auth: order}\noverrides: {production/auth: {ocpus: 2}}"),
        VALID.replace("  dev:\n", "  dev: [x]\n  other:\n"),
        VALID.replace("fleet: shop", "fleet: shop\nocpus: 2").replace("    ocpus: 2\n", ""),
        VALID.replace("    ocpus: 2\n", "    ocpus: 2\n    backup: [30d]\n    engine: oci\n"),
        VALID[: VALID.index("environments")] + "environments: [dev]\n",
    ],
)
def test_a_value_that_cannot_be_read_is_told_once(report: Report, text: str) -> None:
    assert len(report(text)) == 1


def test_nothing_but_a_key(report: Report) -> None:
    assert report("environments:") == [
        "fleet.yaml:1:1: environments: is empty; write environments: with production: below it",
        "fleet.yaml:1:1: fleet: is missing; write fleet: NAME",
        "fleet.yaml:1:1: services: is missing; write services: [ONE, TWO]",
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    problem = _only_problem(tmp_path / "none.yaml")
    assert (
        str(problem) == f"{tmp_path}/none.yaml: does not exist; write it, or name another with -f"
    )


def test_a_folder(tmp_path: Path) -> None:
    assert _only_problem(tmp_path).message == "is a folder"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    loop = tmp_path / "fleet.yaml"
    loop.symlink_to(loop)
    assert _only_problem(loop).message == "cannot be read: too many levels of symbolic links"


def test_a_path_that_no_file_can_have() -> None:
    assert _only_problem(Path("a\0b")).message == "cannot be a path"


def test_a_file_that_is_far_too_large(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_bytes(b"#" * 2_000_001)
    assert _only_problem(tmp_path / "fleet.yaml").message == "is too large for a fleet file"


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_bytes(b"fleet: shop\n# caf\xe9\n")
    problem = _only_problem(tmp_path / "fleet.yaml")
    assert (problem.line, problem.column, problem.message) == (2, 6, "byte 0xe9 is not UTF-8")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(VALID, "utf-8-sig")
    assert load(tmp_path / "fleet.yaml", sections()).name == "shop"


def test_a_problem_without_a_hint_ends_with_its_message() -> None:
    assert str(Problem("f", 1, 2, "it is wrong")) == "f:1:2: it is wrong"


def test_the_error_is_one_of_input() -> None:
    with pytest.raises(FleetFileError) as caught:
        load_text("", Path("fleet.yaml"), sections())
    assert caught.value.exit_code == 2
    assert caught.value.message == str(caught.value.problems[0])


def _only_problem(path: Path) -> Problem:
    with pytest.raises(FleetFileError) as caught:
        load(path, sections())
    (problem,) = caught.value.problems
    return problem
