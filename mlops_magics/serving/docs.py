"""``/docs``: what the server takes and answers, as one page that loads nothing from elsewhere."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

#: With this head no browser runs or loads anything, whatever a model's names hold.
HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
#: A longer example is left to its file.
LONGEST = 4000

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
pre { overflow-x: auto; padding: .75rem; border: 1px solid; border-radius: .25rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem 1.5rem .2rem 0 }
"""


def page(description: Mapping[str, Any], wants: Sequence[Mapping[str, Any]], url: str) -> str:
    """The page.

    Parameters
    ----------
    description : mapping
        As `openapi` makes it.
    wants : sequence of mapping
        The inputs: name, type, required, and perhaps shape.
    url : str
        Where the server was asked for this.
    """
    info, paths = description["info"], description["paths"]
    rows = [
        (
            str(w["name"] if w["name"] is not None else number),
            f"{w['type']} {w.get('shape', '')}".strip(),
            "required" if w["required"] else "may be missing",
        )
        for number, w in enumerate(wants, start=1)
    ]
    listed = [
        (method.upper(), path, operation["summary"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        f"<p>{escape(info['description'])}</p>\n"
        f"<h2>Ask</h2>\n<pre>{escape(_curl(paths, url))}</pre>\n"
        f"<h2>Inputs</h2>\n{_table(('name', 'type', ''), rows)}\n"
        f"<h2>Paths</h2>\n{_table(('', 'path', 'answer'), listed)}\n"
        '<p>For programs: <a href="openapi.json">openapi.json</a></p>\n</body></html>\n'
    )


def _curl(paths: Mapping[str, Any], url: str) -> str:
    content = paths["/invocations"]["post"]["requestBody"]["content"]["application/json"]
    example = json.dumps(content["example"]) if "example" in content else ""
    data = example if 0 < len(example) <= LONGEST else "@input_example.json"
    words = ["curl", f"{url.rstrip('/')}/invocations", "-H", "Content-Type: application/json"]
    return shlex.join([*words, "-d", data])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(v)}</td>' for v in row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"
