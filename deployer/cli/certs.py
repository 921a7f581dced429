"""certs: the certificates that routers serve the app with, and those of one's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployer.cli import options as o
from deployer.cli.looking import known, looked
from deployer.cli.platform import MESH, put
from deployer.cli.telling import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deployer.engine.sight import Sight
    from deployer.spec.platform import Edit, Platform
    from deployer.spec.spec import Spec

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@app.callback()
@o.spread
def listed(told: o.Look, context: typer.Context) -> None:
    """List the app's certificates: what they cover, who gave them, until when, and where they come from.

    Example: deploy certs
    """
    from deployer.views import text

    if context.invoked_subcommand:
        return
    found = _found(told)
    names = ("name", "domains", "issuer", "expires", "from", "note")
    words = text.table(tuple(row[n] for n in names) for row in found)
    none = 'No certificates. Next: deploy certs add CHAIN.pem KEY.pem, or "tls" in fleet.json'
    say(told, found, words or none)


@app.command()
@o.spread
def add(
    told: o.Act,
    chain: Annotated[Path, typer.Argument(help="PEM: the certificate, then those that signed it.")],
    key: Annotated[Path, typer.Argument(help="PEM: its private key, not encrypted.")],
    name: Annotated[str, typer.Option("--name", help="What to call it; its first domain without that.")] = "",
) -> None:
    """Have the routers serve the app with a certificate of your own; one of the same name is replaced.

    Example: deploy certs add fullchain.pem privkey.pem
    """
    from deployer.engine import decision
    from deployer.problems import InputError
    from deployer.source.certificates import pair
    from deployer.spec.platform import with_certificate
    from deployer.world import certificates, claims

    own = pair(chain, key)

    def choose(spec: Spec, _: Sight, settings: Platform) -> Edit:
        now = certificates.clock(decision.now())
        if problems := tuple(certificates.objections(own, claims.of(spec.fleet, settings).domains, now)):
            raise InputError(problems)
        return with_certificate(_checked(name or certificates.named(own.chain)), own)

    put(told, choose, MESH)


@app.command()
@o.spread
def remove(told: o.Act, name: Annotated[str, typer.Argument(help="Its name in deploy certs.")]) -> None:
    """Take back a certificate that was added with this command.

    Example: deploy certs remove shop.example.com
    """
    from deployer.problems import InputError, Problem
    from deployer.spec.platform import with_certificate

    def choose(_spec: Spec, _sight: Sight, settings: Platform) -> Edit:
        if name not in settings.certificates:
            known = ", ".join(sorted(settings.certificates)) or "none"
            hint = f"added were {known}; those of fleet.json are taken out there, then deploy apply"
            raise InputError(Problem(f"no certificate {name!r} was added by a command", hint=hint))
        return with_certificate(name, None)

    put(told, choose, MESH)


def _checked(name: str) -> str:
    from deployer.problems import InputError, Problem

    if not _NAME.fullmatch(name):
        hint = "use lower-case letters, digits, dots and hyphens: --name shop.example.com"
        raise InputError(Problem(f"{name!r} is no name for a certificate", hint=hint))
    return name


def _found(told: o.Look) -> list[dict[str, Any]]:
    from deployer import source

    spec = source.with_certificates(known(told))
    sight, settings = looked(told, spec)
    return [*_own(spec, settings), *_automatic(spec, sight)]


def _own(spec: Spec, settings: Platform) -> Iterator[dict[str, Any]]:
    from deployer.world import certificates

    for name, pair in certificates.own(spec, settings).items():
        origin = "command" if settings.certificates.get(name) == pair else "fleet.json"
        yield _row(name, pair.chain, origin)


def _automatic(spec: Spec, sight: Sight) -> Iterator[dict[str, Any]]:
    """As the first router has them: all hold the same."""
    from deployer.engine.settling import settled
    from deployer.providers import certificates, nginx
    from deployer.providers.nginx import tls

    if spec.fleet.tls.acme is None:
        return
    world = settled(spec, sight, lambda before: before, frozenset()).world
    seen = next((world.facts[router.name] for router in world.with_role("router")), None)
    for domain in tls.automatics(world, nginx.names(world)):
        if seen is None:
            yield _row(domain, "", "ACME", "no router was looked at: they get and hold it")
            continue
        chain = seen.private.get(tls.automatic(world.app, domain, "pem"), "")
        said = certificates.last_words(world.app, domain, seen)
        yield _row(domain, chain, "ACME", said or ("" if chain else "not there yet: deploy apply"))


def _row(name: str, chain: str, origin: str, note: str = "") -> dict[str, Any]:
    from deployer.engine import decision
    from deployer.world import certificates

    found = certificates.described(chain)
    if found is None:
        return {"name": name, "domains": "", "issuer": "", "expires": "", "from": origin, "note": note}
    left = found.expires - certificates.clock(decision.now())
    soon = f"expires in {max(left.days, 0)} days" if left < certificates.SOON else ""
    return {
        "name": name,
        "domains": ", ".join(found.names),
        "issuer": found.issuer,
        "expires": str(found.expires.date()),
        "from": origin,
        "note": "; ".join(filter(None, (soon, note))),
    }
