"""From a picture of the fleet to samples, and to the document that others read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from pgherd import __version__
from pgherd.metrics.exposition import Family, Sample, text
from pgherd.metrics.picture import (
    DatabaseView,
    EngineView,
    EnvironmentView,
    InstanceView,
    Picture,
)
from pgherd.metrics.series import (
    OF_AUTOPILOT,
    OF_DATABASE,
    OF_ENGINE,
    OF_ENVIRONMENT,
    OF_INSTANCE,
    Series,
    T,
)

INFO = Family(
    "pgherd_info", "gauge", "Always 1; labels have the fleet's name and pgherd's version.", ()
)


def document(picture: Picture) -> str:
    """All that is known, as Prometheus reads it."""
    return text(families(picture))


def families(picture: Picture) -> Iterator[Family]:
    """In the order of the series."""
    yield _info(picture)
    yield from _of(OF_AUTOPILOT, [picture.autopilot], lambda _: {})
    yield from _of(OF_ENGINE, picture.engines(), EngineView.labels)
    yield from _of(OF_ENVIRONMENT, picture.environments(), EnvironmentView.labels)
    yield from _of(OF_DATABASE, picture.databases(), DatabaseView.labels)
    yield from _of(OF_INSTANCE, picture.instances(), InstanceView.labels)


def _info(picture: Picture) -> Family:
    labels = {"fleet": picture.fleet.name, "version": __version__}
    return Family(INFO.name, INFO.kind, INFO.help, (Sample(labels, 1),))


def _of(
    all: tuple[Series[T], ...], views: Iterable[T], labels: Callable[[T], Mapping[str, str]]
) -> Iterator[Family]:
    found = [(view, labels(view)) for view in views]
    for series in all:
        samples = (
            Sample({**own, **series.more(view)}, value)
            for view, own in found
            if (value := series.value(view)) is not None
        )
        yield Family(series.name, series.kind, series.help, tuple(samples))
