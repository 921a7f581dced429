"""The lab's configuration files, each a template beside this module."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=PackageLoader("deployer.lab", "."),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
)


def render(template: str, **values: str | int) -> str:
    """Fills one in; a value that is missing is an error, never an empty word."""
    return _TEMPLATES.get_template(template).render(values)
