"""The environment variables by which OCI is found and signed in to."""

from __future__ import annotations

CONFIG_VARIABLE = "OCI_CONFIG_FILE"
ENDPOINT_VARIABLE = "PGHERD_OCI_ENDPOINT"
"""Where a local OCI listens, in place of the services of a region."""
VARIABLES = (
    "HOME",
    CONFIG_VARIABLE,
    ENDPOINT_VARIABLE,
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
)
"""All of them. Profiles name files below `HOME` as `~`."""
