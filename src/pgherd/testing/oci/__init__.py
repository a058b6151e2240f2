"""A strict OCI on loopback, for tests of what speaks to OCI by its official SDK.

Routes, parameters, bodies and answers are held to the contract that the installed SDK itself
states. How the services behave (states, refusals, times) is written from documentation, and is
stricter where that is silent. It shows that a client and this agree; only a tenancy shows that
OCI agrees too.

    with LocalOci() as cloud:
        client = PostgresqlClient(cloud.config, service_endpoint=cloud.endpoint("psql"))

`python -m pgherd.testing.oci` runs it by itself.
"""
