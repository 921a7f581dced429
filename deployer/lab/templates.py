"""The lab's configuration files, each a template beside this module."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def render(template: str, **values: str | int) -> str:
    """Fills one in; a value that is missing is an error, never an empty word."""
    return _templates().get_template(template).render(values)


@cache
def _templates() -> jinja2.Environment:
    """Loaded when it is asked for: the Debian root is made before jinja2 is there (tools/debian_root.py)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("deployer.lab", "."),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
