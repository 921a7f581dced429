"""conf.py FOLDER <SETTINGS: nginx.conf for this dyno's environment, and the passwords if any, into FOLDER.

Answers come in Heroku's order: files, clean URLs, proxies, redirects, routes, 404.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

Site = dict[str, Any]
Environ = Mapping[str, str]

HIDDEN = r"/\.(?!well-known/)"
# of an app whose root is the site's: what is there for the platform
SOURCE = (
    r"^/(static\.json|app\.json|Procfile|package(-lock)?\.json|yarn\.lock|pnpm-lock\.yaml|node_modules/.*)$"
)


def quoted(text: object) -> str:
    """A string of nginx in which nothing is special."""
    plain = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
    return '"' + plain.replace("$", "${dollar}") + '"'


def pattern(path: str) -> str:
    """A regular expression of a path in which * is one segment and ** any number."""
    stars = {"**": "[^?]*", "*": "[^/?]*"}
    parts = re.split(r"(\*\*|\*)", path)
    return "^" + "".join(stars.get(part) or re.escape(part).replace('"', '\\"') for part in parts)


def filled(text: str, environ: Environ) -> str:
    """${NAME} by what the environment has; what it has not stays."""
    return re.sub(r"\$\{(\w+)\}", lambda match: environ.get(match[1], match[0]), text)


def header_maps(headers: Site) -> list[str]:
    """The last path that matches decides alone; the address that was asked for counts, not the file."""
    lines = ["  map $request_uri $rule {", "    default 0;"]
    rules = list(enumerate(headers.items(), 1))
    for number, (path, _) in reversed(rules):
        lines.append(f'    "~{pattern(path)}([?].*)?$" {number};')
    lines.append("  }")
    for position, name in enumerate(header_names(headers)):
        lines.append(f"  map $rule $header_{position} {{")
        lines += [f"    {number} {quoted(values[name])};" for number, (_, values) in rules if name in values]
        lines.append("  }")
    return lines


def header_names(headers: Site) -> list[str]:
    """Each name once, in the order of appearance."""
    return list(dict.fromkeys(name for values in headers.values() for name in values))


def first_tries(site: Site) -> str:
    """What is tried of the pages themselves."""
    return "$uri.html $uri $uri/index.html" if site.get("clean_urls") else "$uri"


def gates(site: Site, environ: Environ, htpasswd: str) -> Iterator[str]:
    """What stands before every page."""
    if site.get("https_only"):
        yield 'if ($http_x_forwarded_proto != "https") { return 301 https://$host$request_uri; }'
    if site.get("canonical_host"):
        host = quoted(filled(site["canonical_host"], environ))
        yield f"set $canonical {host};"
        yield "if ($host != $canonical) { return 301 $http_x_forwarded_proto://$canonical$request_uri; }"
    if htpasswd:
        yield f'auth_basic "Restricted"; auth_basic_user_file {quoted(htpasswd)};'
    if site.get("error_page"):
        yield f"error_page 404 500 {quoted('/' + site['error_page'].lstrip('/'))};"
    for position, name in enumerate(header_names(site.get("headers") or {})):
        yield f"add_header {name} $header_{position} always;"
    yield f'location ~ "{HIDDEN}" {{ return 404; }}'
    if site["root"] == ".":
        yield f'location ~ "{SOURCE}" {{ return 404; }}'


def name_servers() -> str:
    """Who tells the addresses of proxied servers."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8") as file:
            found = [line.split()[1] for line in file if re.match(r"nameserver\s+\S", line)]
    except OSError:
        found = []
    return " ".join(f"[{server}]" if ":" in server else server for server in found)


def proxies(site: Site, environ: Environ) -> Iterator[str]:
    """Paths that another server answers where there is no file."""
    wanted = site.get("proxies") or {}
    if wanted and name_servers():
        yield f"resolver {name_servers()};"
    for number, (path, value) in enumerate(wanted.items()):
        scheme, _, rest = filled(value["origin"], environ).partition("://")
        host, _, base = rest.strip("/").partition("/")
        inner = f"/{base}/$1" if base else "/$1"
        yield f"location ^~ {quoted(path)} {{ try_files {first_tries(site)} @proxy{number}; }}"
        yield f"location @proxy{number} {{"
        # in a variable the name is looked up at each request, not once at the start
        yield f"  set $origin{number} {quoted(scheme + '://' + host)};"
        yield f'  rewrite "^{re.escape(path.rstrip("/"))}/?(.*)$" "{inner}" break;'
        yield f"  proxy_pass $origin{number}; proxy_ssl_server_name on;"
        yield "}"


def redirects(site: Site, environ: Environ) -> Iterator[str]:
    """Exactly these paths, where there is no file."""
    for number, (path, value) in enumerate((site.get("redirects") or {}).items()):
        url = quoted(filled(value["url"], environ))
        yield f"location = {quoted(path)} {{ try_files {first_tries(site)} @redirect{number}; }}"
        yield f"location @redirect{number} {{ return {value.get('status', 301)} {url}; }}"


def routes(site: Site) -> Iterator[str]:
    """One file for many paths; a target that is a folder means: only what is there."""
    for path, target in (site.get("routes") or {}).items():
        file = "" if target.endswith("/") else quoted("/" + target.lstrip("/")) + " "
        yield f'location ~ "{pattern(path)}$" {{ try_files {first_tries(site)} {file}=404; }}'
    tries = "$uri.html $uri $uri/" if site.get("clean_urls") else "$uri $uri/"
    yield f"location / {{ try_files {tries} =404; }}"


def text(site: Site, environ: Environ, work: str, htpasswd: str) -> str:
    """All of nginx.conf for a site, the dyno's environment and a folder that can be written."""
    logging = site.get("logging") or {}
    server = [
        *gates(site, environ, htpasswd),
        *proxies(site, environ),
        *redirects(site, environ),
        *routes(site),
    ]
    maps = header_maps(site.get("headers") or {}) if site.get("headers") else []
    known = ("debug", "info", "notice", "warn", "crit")
    level = str(logging["error"]) if logging.get("error") in known else "error"
    filling: dict[str, str] = {
        "work": work,
        "workers": environ["WEB_CONCURRENCY"] if environ.get("WEB_CONCURRENCY", "").isdigit() else "auto",
        "error_level": level,
        "access_log": "off" if logging.get("access") is False else f"{work}/access.log said",
        "maps": "\n".join(maps),
        "port": str(int(environ.get("PORT") or 5000)),
        "root": quoted(os.path.normpath(os.path.join(os.getcwd(), site["root"]))),
        "charset": quoted(site.get("encoding") or "UTF-8"),
        "server": "\n".join("    " + line for line in server),
    }
    with open(os.path.join(os.path.dirname(__file__), "nginx.conf"), encoding="utf-8") as file:
        return re.sub(r"@(\w+)@", lambda match: filling[match[1]], file.read())


def passwords(site: Site, environ: Environ, folder: str) -> str:
    """The .htpasswd: of the config vars (a hash, as `openssl passwd -apr1` makes it), else the app's own."""
    user, password = environ.get("BASIC_AUTH_USERNAME"), environ.get("BASIC_AUTH_PASSWORD")
    if not user and not site.get("basic_auth"):
        return ""
    if user and password:
        path = os.path.join(folder, "htpasswd")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{user}:{password}\n")
        return path
    path = os.path.join(os.getcwd(), site.get("basic_auth_htpasswd_path") or ".htpasswd")
    if not os.path.isfile(path):
        sys.exit(f"static.json: basic_auth: neither BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD nor {path}")
    return path


def main() -> None:
    """Write what nginx needs."""
    folder = sys.argv[1]
    site = json.load(sys.stdin)
    os.umask(0o077)
    conf = text(site, os.environ, folder, passwords(site, os.environ, folder))
    with open(os.path.join(folder, "nginx.conf"), "w", encoding="utf-8") as file:
        file.write(conf)


main()
