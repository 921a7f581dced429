"""Words that people bring from Heroku's CLI, and what does the same here.

A word that is not in the table is looked up by what comes before its last colon: `pg` is for all of `pg:…`.
Where a command of ours has the words themselves (`domains:add`, `deploy domains add`), no line is needed.
"""

from __future__ import annotations

from collections.abc import Mapping

CONFIG = 'write it under "config" in fleet.json or "env" in app.json, then deploy apply'
SCALE = 'write it under "formation" in app.json or fleet.json (no other dyno restarts), then deploy apply'
RESTART = "change a config var in fleet.json (its release starts all dynos anew), then deploy apply"
SERVICES = 'no service is run here: its config vars go to "config" in fleet.json, its address to "allow"'
ACCOUNTS = 'there are no accounts here: who may log in over SSH may act; "ssh" in fleet.json says how'
SHELL = "a shell in a dyno of its own, with the same code and config: deploy run bash"
APPS = 'the folder is the app, and "app" in fleet.json its name; what makes it is deploy apply'
INFO = "what runs is in deploy ps, what ran in deploy releases, its names in deploy domains"

HERE: Mapping[str, str] = {
    "access": ACCOUNTS,
    "addons": SERVICES,
    "apps": APPS,
    "apps:destroy": "deploy destroy",
    "apps:info": INFO,
    "auth": ACCOUNTS,
    "authorizations": ACCOUNTS,
    "autoscale": SCALE,
    "buildpacks": 'write them under "buildpacks" in app.json, then deploy apply',
    "builds": "what a build said: deploy releases show v7 --build",
    "certs:auto": 'write "tls": {"acme": {"email": "ada@example.com"}} in fleet.json, then deploy apply',
    "certs:info": "deploy certs",
    "certs:update": "one of the same name is replaced: deploy certs add CHAIN.pem KEY.pem",
    "config": CONFIG,
    "container": "no image is run here: what builds from the source is deploy apply",
    "create": APPS,
    "domains:clear": "deploy domains remove shop.example.com",
    "domains:info": "deploy domains",
    "domains:wait": "deploy domains",
    "drains:info": "deploy drains",
    "dyno": RESTART,
    "dyno:scale": SCALE,
    "exec": SHELL,
    "git": "there is nothing to push to: what is in this folder is released by deploy apply",
    "help": "deploy --help",
    "info": INFO,
    "keys": ACCOUNTS,
    "local": "run a line of the Procfile yourself, or make a practice fleet: deploy lab up",
    "login": ACCOUNTS,
    "logout": ACCOUNTS,
    "maintenance:off": "deploy maintenance off",
    "maintenance:on": "deploy maintenance on",
    "metrics": "each host answers a Prometheus: docs/metrics.md",
    "open": "the names under which the app answers: deploy domains",
    "pg": SERVICES,
    "pg:psql": "where the app brings psql: deploy run -- sh -c 'psql $DATABASE_URL'",
    "pipelines": "another fleet of an app is another environment, fleet.NAME.json: deploy apply -e NAME",
    "pipelines:promote": "a slug that was built goes on: deploy apply -e production --slug 66d337d7c3c4e08d",
    "ps:autoscale": SCALE,
    "ps:copy": SHELL,
    "ps:exec": SHELL,
    "ps:kill": RESTART,
    "ps:resize": SCALE,
    "ps:restart": RESTART,
    "ps:scale": SCALE,
    "ps:stop": SCALE,
    "ps:type": SCALE,
    "ps:wait": "it ends when the new dynos serve: deploy apply",
    "push": "deploy apply",
    "redis": SERVICES,
    "releases:info": "deploy releases show v7",
    "releases:output": "deploy logs --ps release",
    "releases:retry": "deploy apply",
    "releases:rollback": "deploy rollback v7",
    "restart": RESTART,
    "run:detached": "what goes on by itself is a process type; this stays until it ends: deploy run worker",
    "run:inside": SHELL,
    "scale": SCALE,
    "stack": 'write "stack" in app.json, then deploy apply',
    "status": "deploy ps",
    "version": "deploy --version",
    "webhooks": "all that happens, for a program: deploy apply --json",
}
"""What to do instead, by word: the last line of a problem. A command of ours is its end."""


def way(word: str) -> str:
    """What does the same here, or nothing."""
    while word and word not in HERE:
        word = word.rpartition(":")[0]
    return HERE.get(word, "")
