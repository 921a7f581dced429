"""What the sites of all apps use, named by its content: Lua, and nginx's own words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from deployer.model.steps import Text, sha
from deployer.providers import parts
from deployer.providers.base import packaged, render

FOLDER = "/usr/local/share/lua/5.1/deployer"
"""Where the Lua of nginx looks for what a site has it require."""
COMMON = "/etc/nginx/conf.d/deployer_common_{}.conf"
"""What all sites say with the same words. Each word costs every request something, on any site."""
MODULES = ("balance", "counts", "lines", "mesh", "states", "told", "tries", "unserved")


def files() -> Iterator[parts.File]:
    """In a folder named by what is in it: one app's apply changes nothing for the sites of others."""
    for name in MODULES:
        yield parts.File(f"{FOLDER}/{digest()}/{name}.lua", packaged(f"nginx/on_host/{name}.lua"))


def module(name: str) -> str:
    """Lua for a module of ours; `require` alone would keep the compiler from what it leads to."""
    path = f'"deployer.{digest()}.{name}"'
    return f"(package.loaded[{path}] or require({path}))"


def path() -> str:
    """Where the words of this version lie."""
    return COMMON.format(digest())


def common() -> Text:
    """What lies there."""
    return render("nginx/common.conf.j2", common=word())


def word() -> str:
    """What the names of nginx's own words begin with."""
    return f"deployer_{digest()}"


@cache
def digest() -> str:
    """Of all that is named by it."""
    lua = (packaged(f"nginx/on_host/{name}.lua") for name in MODULES)
    parts = (*lua, render("nginx/common.conf.j2", common=""))
    return sha("".join(part.content for part in parts))[:12]
