"""What others may watch of a fleet: its series, their text, and what is done with them.

`series` says what there is, `families` takes it from a picture of the fleet, `exposition` writes
it as Prometheus reads it; `rules` and `dashboard` are for Prometheus and Grafana.
"""
