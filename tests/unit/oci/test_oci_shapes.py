"""Which shape is chosen, how much memory it gives, and what is read of `list_shapes`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.psql.models import ShapeMemoryOptions, ShapeOcpuOptions, ShapeSummary

from pgherd.engines.oci.shapes import PREFERRED, Shape, bare, choose, of_name, read

E4 = Shape("VM.Standard.E4.Flex", 1, 64)
E5 = Shape("PostgreSQL.VM.Standard.E5.Flex", 1, 64)
E6 = Shape("VM.Standard.E6.Flex", 1, 126)
X9 = Shape("VM.Standard3.Flex", 1, 32)
NEW = Shape("VM.Standard.E9.Flex", 1, 256)
ALL = (NEW, X9, E4, E6, E5)
SHAPES = st.builds(
    Shape,
    st.sampled_from([*PREFERRED, "E7"]).map("VM.Standard.{}.Flex".format),
    st.integers(1, 4),
    st.integers(4, 256),
    gib_per_ocpu=st.integers(1, 32),
    min_gib=st.integers(1, 64),
    max_gib=st.integers(64, 2048),
)


@pytest.mark.parametrize(
    ("max_ocpus", "expected"), [(1, E5), (64, E5), (65, E6), (126, E6), (127, NEW), (300, NEW)]
)
def test_the_preferred_shape_that_reaches_far_enough(max_ocpus: int, expected: Shape) -> None:
    assert choose(ALL, max_ocpus) == expected


def test_an_unknown_series_is_the_last_choice() -> None:
    assert choose((NEW, X9), 16) == X9
    assert choose((NEW, E4), 16) == E4
    assert choose((NEW,), 16) == NEW


def test_without_shapes_there_is_no_choice() -> None:
    assert choose((), 2) is None


@given(st.lists(SHAPES, min_size=1, max_size=6), st.integers(1, 300))
def test_the_chosen_reaches_as_far_as_any_can(shapes: list[Shape], max_ocpus: int) -> None:
    chosen = choose(shapes, max_ocpus)
    assert chosen in shapes
    assert chosen is not None
    assert chosen.max_ocpus >= min(max_ocpus, max(s.max_ocpus for s in shapes))


@given(st.lists(SHAPES, max_size=6, unique_by=lambda s: s.name), st.integers(1, 300))
def test_the_order_of_the_offers_changes_nothing(shapes: list[Shape], max_ocpus: int) -> None:
    assert choose(shapes, max_ocpus) == choose(shapes[::-1], max_ocpus)


@given(SHAPES, st.integers(1, 256))
def test_memory_stays_within_the_shape_and_grows_with_ocpus(shape: Shape, ocpus: int) -> None:
    gib = shape.memory_gib(ocpus)
    assert shape.min_gib <= gib <= shape.max_gib
    assert gib <= shape.memory_gib(ocpus + 1)


def test_memory_of_an_instance() -> None:
    shape = Shape("x", 1, 94, gib_per_ocpu=16, min_gib=8, max_gib=1049)
    assert [shape.memory_gib(n) for n in (1, 2, 65, 66, 94)] == [16, 32, 1040, 1049, 1049]
    assert Shape("x", 1, 4, gib_per_ocpu=2, min_gib=8).memory_gib(1) == 8


@pytest.mark.parametrize("name", [E5.name, bare(E5.name)])
def test_a_shape_is_found_with_and_without_its_prefix(name: str) -> None:
    assert of_name(ALL, name) == E5
    assert E5.full_name == "PostgreSQL.VM.Standard.E5.Flex"
    assert E4.full_name == "PostgreSQL.VM.Standard.E4.Flex"


def test_a_shape_that_is_not_offered_is_not_found() -> None:
    assert of_name(ALL, "VM.Standard.E3.Flex") is None


def test_flexible_shapes_are_read() -> None:
    full = ShapeSummary(
        shape=E5.name,
        is_flexible=True,
        shape_ocpu_options=ShapeOcpuOptions(min=1, max=64),
        shape_memory_options=ShapeMemoryOptions(
            default_per_ocpu_in_gbs=12, min_in_gbs=4, max_in_gbs=1024
        ),
    )
    bare_one = ShapeSummary(
        shape=E6.name, is_flexible=True, shape_ocpu_options=ShapeOcpuOptions(min=2, max=126)
    )
    empty = ShapeSummary(
        shape=E4.name,
        is_flexible=True,
        shape_ocpu_options=ShapeOcpuOptions(min=1, max=64),
        shape_memory_options=ShapeMemoryOptions(),
    )
    fixed = ShapeSummary(shape="PostgreSQL.VM.Standard.E4.Flex.2.32GB", is_flexible=False)
    silent = ShapeSummary(shape="VM.Standard.E7.Flex", is_flexible=True)
    assert read([full, bare_one, empty, fixed, silent]) == (
        Shape(E5.name, 1, 64, gib_per_ocpu=12, min_gib=4, max_gib=1024),
        Shape(E6.name, 2, 126),
        Shape(E4.name, 1, 64),
    )
