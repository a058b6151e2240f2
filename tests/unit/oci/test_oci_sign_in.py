"""Signing in: what a profile may lack, and how the reader is told what to do about it."""

import configparser
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import oci
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oci.auth.signers import SecurityTokenSigner
from oci.signer import Signer
from oci_fakes import answer, refusal

from pgherd.engines.oci.bodies import CLIENTS
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.sign_in import load, sign_in
from pgherd.engines.oci.variables import CONFIG_VARIABLE
from pgherd.errors import InputError, NeedsHuman

FINGERPRINT = ":".join(["ab"] * 16)
TENANCY = "ocid1.tenancy.oc1..own"
REGION = "us-ashburn-1"


@pytest.fixture(scope="module")
def key() -> bytes:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


class Profile:
    """A configuration file with one profile, which a test may damage."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.path = folder / "config"
        self.key_file = folder / "key.pem"
        self.key_file.write_bytes(key)
        self.key_file.chmod(0o600)
        self.values = {
            "user": "ocid1.user.oc1..me",
            "tenancy": TENANCY,
            "fingerprint": FINGERPRINT,
            "region": REGION,
            "key_file": str(self.key_file),
        }

    def write(self, name: str = "DEFAULT", **changes: str | None) -> None:
        values = {k: v for k, v in (self.values | changes).items() if v is not None}
        lines = (f"{k}={v}" for k, v in values.items())
        self.text("\n".join([f"[{name}]", *lines, ""]))

    def text(self, text: str) -> None:
        self.path.write_text(text)
        self.path.chmod(0o600)


@pytest.fixture
def profile(tmp_path: Path, key: bytes, monkeypatch: pytest.MonkeyPatch) -> Profile:
    found = Profile(tmp_path, key)
    monkeypatch.setenv(CONFIG_VARIABLE, str(found.path))
    for name in ("OCI_REGION", "OCI_CLI_REGION"):
        monkeypatch.delenv(name, raising=False)
    return found


def refused(name: str = "DEFAULT") -> InputError:
    with pytest.raises(InputError) as found:
        sign_in(name)
    assert "\n" not in found.value.message
    return found.value


def test_a_profile_is_read(profile: Profile) -> None:
    profile.write()
    config = sign_in("DEFAULT")
    assert {name: config[name] for name in profile.values} == profile.values


def test_another_profile_is_read(profile: Profile) -> None:
    profile.write("shop")
    assert sign_in("shop")["tenancy"] == TENANCY


def test_without_a_file_one_has_to_be_written(profile: Profile) -> None:
    error = refused()
    assert error.message == f"{profile.path} does not exist"
    assert "oci setup config" in error.hint


def test_a_session_has_a_token_in_the_place_of_a_user(profile: Profile, tmp_path: Path) -> None:
    profile.write(user=None, security_token_file=str(tmp_path / "token"))
    config = sign_in("DEFAULT")
    assert "user" not in config
    profile.write(user=None, tenancy=None, security_token_file=str(tmp_path / "token"))
    assert "'tenancy': 'missing'" in refused().message


def test_a_profile_that_is_not_there(profile: Profile) -> None:
    profile.write()
    error = refused("shop")
    assert error.message == f"profile 'shop' is not in {profile.path}"
    assert error.hint == "write oci: {profile: NAME} with one that is"


@pytest.mark.parametrize("name", ["user", "tenancy", "fingerprint", "region", "key_file"])
def test_what_a_profile_lacks_is_named(profile: Profile, name: str) -> None:
    del profile.values[name]
    profile.write()
    error = refused()
    assert error.message.startswith(f"profile 'DEFAULT' of {profile.path} cannot be used: ")
    assert f"'{name}': 'missing'" in error.message


@pytest.mark.parametrize("name", ["user", "tenancy", "fingerprint"])
def test_what_is_malformed_is_named(profile: Profile, name: str) -> None:
    profile.write(**{name: "nonsense"})
    assert f"'{name}': 'malformed'" in refused().message


def test_a_key_file_that_is_not_there_is_named(profile: Profile) -> None:
    profile.key_file.unlink()
    profile.write()
    assert str(profile.key_file) in refused().message


def test_what_must_not_be_in_the_file_is_named(profile: Profile) -> None:
    profile.write(key_content="secret")
    assert "'key_content' cannot be specified" in refused().message


@pytest.mark.parametrize(
    "text", ["user=me\n", "[DEFAULT]\nuser=a\nuser=b\n", "[DEFAULT]\nuser\n", "[a]\n[a]\n"]
)
def test_a_file_of_another_form_cannot_be_used(profile: Profile, text: str) -> None:
    profile.text(text)
    with pytest.raises(configparser.Error):
        configparser.ConfigParser().read(profile.path)
    assert refused().message.startswith(f"profile 'DEFAULT' of {profile.path} cannot be used: ")


# A cloud of its own, which is not called


def cloud(threads: ThreadPoolExecutor, region: str = REGION, **options: Any) -> Cloud:
    return Cloud("DEFAULT", region, threads, **options)


async def called(cloud: Cloud) -> InputError:
    with pytest.raises(InputError) as found:
        await cloud.call("psql", "list_shapes")
    assert "\n" not in found.value.message
    return found.value


def test_a_cloud_has_its_own_region(profile: Profile, threads: ThreadPoolExecutor) -> None:
    profile.write()
    found = cloud(threads, "us-phoenix-1")
    assert found.config["region"] == "us-phoenix-1"
    assert found.tenancy == TENANCY
    profile.path.unlink()
    assert found.config["region"] == "us-phoenix-1"


async def test_a_profile_that_cannot_be_used_is_told_by_the_first_call(
    profile: Profile, threads: ThreadPoolExecutor
) -> None:
    error = await called(cloud(threads))
    assert error.message == f"{profile.path} does not exist"


async def test_a_broken_key_is_the_readers_to_mend(
    profile: Profile, threads: ThreadPoolExecutor
) -> None:
    profile.write()
    profile.key_file.write_text("no key\n")
    error = await called(cloud(threads))
    assert error.message.startswith("profile 'DEFAULT' cannot sign: ")
    assert "key_file" in error.hint


async def test_a_key_with_a_pass_phrase_needs_it(
    profile: Profile, key: bytes, threads: ThreadPoolExecutor
) -> None:
    loaded = serialization.load_pem_private_key(key, None)
    profile.key_file.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        )
    )
    profile.write()
    assert "pass_phrase" in (await called(cloud(threads))).hint
    profile.write(pass_phrase="sesame")
    error = await called(cloud(threads))
    assert "sesame" not in error.message + error.hint
    profile.write(pass_phrase="open sesame")
    assert isinstance(client(cloud(threads)).base_client.signer, Signer)


async def test_a_token_that_is_not_there_is_the_readers_to_fetch(
    profile: Profile, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    profile.write(security_token_file=str(tmp_path / "token"))
    error = await called(cloud(threads))
    assert error.message.startswith("profile 'DEFAULT' cannot sign: ")
    assert "security_token_file" in error.hint


def client(cloud: Cloud, service: str = "psql", at: str | None = None) -> Any:
    return cloud._client(service, at)


def test_a_token_signs_where_there_is_one(
    profile: Profile, tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    (tmp_path / "token").write_text("TOKEN")
    profile.write(security_token_file=str(tmp_path / "token"), user=None)
    signer = client(cloud(threads)).base_client.signer
    assert isinstance(signer, SecurityTokenSigner)
    assert signer.api_key == "ST$TOKEN"


@pytest.mark.parametrize("service", CLIENTS)
def test_no_client_repeats_or_breaks_by_itself(
    profile: Profile, threads: ThreadPoolExecutor, service: str
) -> None:
    profile.write()
    at = "https://vault.example" if service == "keys" else None
    made = client(cloud(threads), service, at)
    assert type(made.retry_strategy).__name__ == "NoneRetryStrategy"
    breaker = made.base_client.circuit_breaker_strategy
    assert type(breaker).__name__ == "NoCircuitBreakerStrategy"
    assert made.base_client.timeout == (10, 60)


def test_clients_are_made_once_and_share_a_signer(
    profile: Profile, threads: ThreadPoolExecutor
) -> None:
    profile.write()
    found = cloud(threads)
    assert client(found) is client(found)
    assert client(found).base_client.signer is client(found, "network").base_client.signer
    one, other = (client(found, "keys", f"https://vault-{n}.example") for n in "ab")
    assert one is not other
    assert one.base_client.endpoint.startswith("https://vault-a.example")


def test_a_client_speaks_to_its_region(profile: Profile, threads: ThreadPoolExecutor) -> None:
    profile.write()
    endpoint = client(cloud(threads, "us-phoenix-1", endpoint=None)).base_client.endpoint
    assert "postgresql.us-phoenix-1.oci.oraclecloud.com" in endpoint


def test_a_client_speaks_to_a_local_oci(profile: Profile, threads: ThreadPoolExecutor) -> None:
    profile.write()
    found = cloud(threads, endpoint="http://127.0.0.1:4599")
    endpoint = client(found, "network").base_client.endpoint
    assert endpoint.startswith("http://127.0.0.1:4599/r/us-ashburn-1/core")


class Session:
    """A client with the signer of its time: refused as long as the token is an old one."""

    def __init__(self, signer: Any, good: str) -> None:
        self.base_client = SimpleNamespace(signer=signer)
        self.good = good
        self.calls = 0

    def get_vcn(self, _: str) -> Any:
        self.calls += 1
        if self.base_client.signer.api_key != f"ST${self.good}":
            raise refusal(401, "NotAuthenticated", "The token expired")
        return answer("vcn")


async def test_a_sessions_new_token_is_taken_once(
    profile: Profile, threads: ThreadPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("FIRST")
    profile.write(security_token_file=str(token), user=None)
    made: list[Session] = []

    def play(config: Any, signer: Any, **_: Any) -> Session:
        made.append(Session(signer, "SECOND"))
        return made[-1]

    monkeypatch.setattr(oci.core, "VirtualNetworkClient", play)
    found = cloud(threads)
    with pytest.raises(InputError, match="expired"):
        await found.call("network", "get_vcn", "v1")
    assert [session.calls for session in made] == [1]
    token.write_text("SECOND")
    assert (await found.call("network", "get_vcn", "v1")).data == "vcn"
    assert [session.calls for session in made] == [2, 1]
    token.write_text("THIRD")
    assert (await found.call("network", "get_vcn", "v1")).data == "vcn"
    assert len(made) == 2


async def test_an_error_of_a_clients_making_is_told_as_ours(
    profile: Profile, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise ValueError("no such region")

    profile.write()
    monkeypatch.setattr(oci.core, "VirtualNetworkClient", breaks)
    with pytest.raises(NeedsHuman, match="get_vcn in us-ashburn-1 failed: no such region"):
        await cloud(threads).call("network", "get_vcn", "v1")


async def test_a_profile_that_is_not_there_is_told_at_a_call_too(
    profile: Profile, threads: ThreadPoolExecutor
) -> None:
    with pytest.raises(InputError, match="does not exist"):
        await cloud(threads).call("network", "get_vcn", "v1")


def test_requests_are_never_logged(profile: Profile, threads: ThreadPoolExecutor) -> None:
    profile.write(log_requests="true")
    found = cloud(threads)
    assert found.config["log_requests"] is False
    assert client(found).base_client.logger.disabled


# The SDK


def test_the_sdk_is_there() -> None:
    assert load().__name__ == "oci"


def test_without_the_sdk_it_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "oci", None)
    for attempt in (load, lambda: sign_in("DEFAULT")):
        with pytest.raises(InputError) as found:
            attempt()
        assert found.value.message.startswith("engine oci needs the OCI SDK: ")
        assert found.value.hint == "run pip install 'pgherd[oci]'"
