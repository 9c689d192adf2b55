"""Who is let in: health for everybody, the policy for who may."""

import ssl
import subprocess

import pytest
from serving_support import TOKEN, Client, http_get, request, serving
from websockets.exceptions import InvalidMessage, InvalidStatus

from labvla_policy.serving.settings import ServerSettings, SettingsError, Tls


@pytest.fixture(scope="module")
def uri():
    with serving() as (_, uri):
        yield uri


def test_health(uri):
    assert http_get(uri, "/healthz") == (200, "OK\n")
    status, text = http_get(uri, "/")
    assert status == 426
    assert "WebSocket" in text


@pytest.mark.parametrize(
    ("scheme", "token", "let_in"),
    [
        ("Bearer", TOKEN, True),
        ("bearer", TOKEN, True),
        ("Api-Key", TOKEN, True),
        ("Bearer", TOKEN[:-1], False),
        ("Bearer", "", False),
        ("Basic", TOKEN, False),
        (None, None, False),
    ],
)
def test_tokens(scheme, token, let_in):
    headers = {"Authorization": f"{scheme} {token}"} if scheme else {}
    with serving(token=TOKEN) as (_, uri):
        assert http_get(uri, "/healthz") == (200, "OK\n")
        if let_in:
            with Client(uri, additional_headers=headers) as client:
                assert "actions" in client.ask(request())
        else:
            with pytest.raises(InvalidStatus) as refused:
                Client(uri, additional_headers=headers)
            assert refused.value.response.status_code == 401


def test_tokens_in_addresses_and_web_pages_are_turned_away(uri):
    with pytest.raises(InvalidStatus) as refused:
        Client(f"{uri}/?token={TOKEN}")
    assert refused.value.response.status_code == 400
    with pytest.raises(InvalidStatus) as refused:
        Client(uri, origin="https://example.org")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "robot.lab"])
def test_other_machines_are_let_in_with_a_token_only(host):
    with pytest.raises(SettingsError, match="token"):
        ServerSettings(host=host)
    ServerSettings(host=host, token=TOKEN)


@pytest.mark.parametrize("token", ["short", "x" * 15, "with a space in it, long", "ä" * 20])
def test_tokens_that_are_none(token):
    with pytest.raises(SettingsError, match="at least 16"):
        ServerSettings(token=token)


def test_a_token_does_not_show():
    assert TOKEN not in repr(ServerSettings(token=TOKEN))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    tls = Tls(folder / "cert.pem", folder / "key.pem")
    options = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command = ["openssl", "req", "-x509", *options.split(), "-addext"]
    command += ["subjectAltName=DNS:localhost", "-keyout", tls.key, "-out", tls.certificate]
    subprocess.run(command, check=True, capture_output=True)
    return tls


def test_tls(certificate):
    trust = ssl.create_default_context(cafile=certificate.certificate)
    with serving(tls=certificate) as (_, uri):
        secure = uri.replace("ws://127.0.0.1", "wss://localhost")
        with Client(secure, ssl=trust) as client:
            assert "actions" in client.ask(request())
        with pytest.raises(ssl.SSLCertVerificationError):
            Client(secure, ssl=ssl.create_default_context())
        with pytest.raises((OSError, EOFError, InvalidMessage)):
            Client(uri)


def test_a_certificate_that_is_none(tmp_path):
    with (
        pytest.raises(SettingsError, match="cert"),
        serving(tls=Tls(tmp_path / "cert.pem", tmp_path / "key.pem")),
    ):
        pass
