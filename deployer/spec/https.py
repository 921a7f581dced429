"""How an app is served over HTTPS, as `fleet.json` says it."""

from __future__ import annotations

from deployer.spec.app import Value
from deployer.spec.values import FromCommand, FromEnv, FromFile

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class Acme(Value):
    """Who gives the app its certificates. `ca` is a file with the roots to trust that CA's own server by."""

    email: str | None = None
    directory: str = LETS_ENCRYPT
    ca: str | None = None


class Tls(Value):
    """`hsts` is in seconds; None sends no such header."""

    redirect: bool = False
    hsts: int | None = None
    acme: Acme | None = None


class OwnCertificate(Value):
    """A local file with a certificate and its chain, and where its private key is."""

    certificate: str
    key: FromEnv | FromFile | FromCommand
