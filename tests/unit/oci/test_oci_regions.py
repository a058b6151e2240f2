"""An environment and its databases in another region than their own."""

from dataclasses import replace

from oci_shop import KEY, VAULT, VCN, fleet

from pgherd.engines.oci.making import copied_elsewhere
from pgherd.engines.oci.tenancy import in_region
from pgherd.engines.oci.values import OciValues
from pgherd.fleet.desired import Backup

SHOP = fleet()
(DATABASE,) = SHOP.in_environment("production")
HOME, AWAY, THIRD = "us-ashburn-1", "us-phoenix-1", "eu-frankfurt-1"


def test_a_database_is_not_copied_to_where_it_is() -> None:
    both = replace(DATABASE, backup=Backup(30, (AWAY, THIRD)))
    assert copied_elsewhere(both, AWAY) == replace(DATABASE, backup=Backup(30, (THIRD,)))
    assert copied_elsewhere(both, THIRD).backup.copy_to == (AWAY,)
    assert copied_elsewhere(DATABASE, AWAY).backup.copy_to == ()


def test_in_its_own_region_it_is_copied_as_it_was() -> None:
    assert copied_elsewhere(DATABASE, HOME) == DATABASE


def test_nothing_in_another_region_is_the_users() -> None:
    own = replace(DATABASE.environment.values_of(OciValues), vcn=VCN, vault=VAULT, key=KEY)
    environment = DATABASE.environment.with_values("oci", own)
    there = in_region(environment, AWAY)
    assert there.values_of(OciValues) == replace(own, region=AWAY, vcn=None, vault=None, key=None)
    assert there.with_values("oci", own) == environment
