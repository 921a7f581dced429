"""What an app needs to be given and nobody gives: services and required config vars."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase

from deployer.problems import Problem
from deployer.source.names import is_free
from deployer.source.text import shown
from deployer.spec.app import Addon
from deployer.spec.spec import Spec

SERVICES: dict[str, tuple[str, ...]] = {
    "bonsai": ("BONSAI_URL",),
    "bucketeer": ("BUCKETEER_BUCKET_NAME",),
    "cleardb": ("CLEARDB_DATABASE_URL",),
    "cloudamqp": ("CLOUDAMQP_URL",),
    "cloudinary": ("CLOUDINARY_URL",),
    "heroku-kafka": ("KAFKA_URL",),
    "heroku-postgresql": ("DATABASE_URL",),
    "heroku-redis": ("REDIS_URL",),
    "jawsdb": ("JAWSDB_URL",),
    "jawsdb-maria": ("JAWSDB_MARIA_URL",),
    "mailgun": ("MAILGUN_API_KEY", "MAILGUN_SMTP_LOGIN"),
    "memcachedcloud": ("MEMCACHEDCLOUD_SERVERS",),
    "memcachier": ("MEMCACHIER_SERVERS",),
    "mongolab": ("MONGODB_URI",),
    "newrelic": ("NEW_RELIC_LICENSE_KEY",),
    "papertrail": ("PAPERTRAIL_API_TOKEN",),
    "rediscloud": ("REDISCLOUD_URL",),
    "redistogo": ("REDISTOGO_URL",),
    "rollbar": ("ROLLBAR_ACCESS_TOKEN",),
    "scheduler": (),
    "sendgrid": ("SENDGRID_API_KEY", "SENDGRID_USERNAME"),
    "sentry": ("SENTRY_DSN",),
}
"""Any one of these config vars means that the service is there; none, that it cannot be replaced by any."""


def missing(spec: Spec, platform: Collection[str] = ()) -> tuple[Problem, ...]:
    """An error for all services and one for each required var that nothing gives.

    `platform` are the names that `deploy config set` has put on the hosts; only a look at them can tell.
    """
    given = {*spec.config, *spec.fleet.config, *spec.generated, *platform}
    return (*_services(spec, given), *_scheduler(spec), *_required(spec, given))


def wanted(addon: Addon) -> tuple[str, ...]:
    """The config vars, one of which an add-on brings; `*` stands for any ending."""
    usual = SERVICES.get(addon.service, (f"{addon.service.upper().replace('-', '_')}_*",))
    if not addon.name or not usual:
        return usual
    ending = "URL" if usual[0].endswith("_URL") else "*"
    return (f"{addon.name.upper()}_{ending}",)


def _services(spec: Spec, given: Collection[str]) -> Iterator[Problem]:
    absent = [a for a in spec.app.addons if wanted(a) and not _has(given, wanted(a))]
    if absent:
        names = ", ".join(sorted({shown(addon.service) for addon in absent}))
        detail = "\n".join(
            f"{shown(addon.service)} is known by {' or '.join(wanted(addon))}" for addon in absent
        )
        hint = 'Give these config vars in "config" of fleet.json, or with: deploy config set'
        where = spec.where("app.json", "/addons")
        yield Problem(f"No host provides the services that the app expects: {names}", where, detail, hint)


def _has(given: Collection[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in given for pattern in patterns)


def _scheduler(spec: Spec) -> Iterator[Problem]:
    if any(addon.service == "scheduler" for addon in spec.app.addons):
        hint = "Add a clock process to the Procfile, or a timer that calls deploy run."
        where = spec.where("app.json", "/addons")
        yield Problem(
            "Nothing here runs the jobs of Heroku's scheduler", where, hint=hint, severity="warning"
        )


def _required(spec: Spec, given: Collection[str]) -> Iterator[Problem]:
    for name, var in spec.app.env.items():
        if var.required and is_free(name) and name not in given:
            hint = f'Put "{name}" into "config" of fleet.json, or run: deploy config set {name}=…'
            where = spec.where("app.json", f"/env/{name}")
            yield Problem(f"{name} is required and nothing gives it a value", where, var.description, hint)
