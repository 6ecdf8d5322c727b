"""HTML from a notebook made harmless and kept in its place.

Outputs and Markdown are someone else's HTML. What remains of it here runs nothing, loads nothing
and can't dress up as the page around it: tags and attributes are an allow-list (Bleach does the
parsing), and each style sheet is rewritten so that it only reaches the output that it came with.
The page's content security policy stands behind that as a second wall.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import bleach  # type: ignore[import-untyped]
import tinycss2  # type: ignore[import-untyped]
from bs4 import BeautifulSoup


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT = _words(
    "a abbr b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em "
    "figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark meter nav ol "
    "p pre progress q s samp section small span strong sub summary sup table tbody td tfoot th "
    "thead time tr u ul var wbr article aside center font"
)
_DRAWING = _words(
    "svg g path rect circle ellipse line polyline polygon text tspan title desc defs use symbol "
    "clipPath mask marker pattern linearGradient radialGradient stop"
)
TAGS = _TEXT | _DRAWING

_EVERYWHERE = _words(
    "align alt aria-hidden aria-label aria-describedby aria-labelledby border class colspan dir "
    "headers height hidden id lang open role rowspan scope span start style tabindex title "
    "valign value max min width"
)
_IN_DRAWINGS = _words(
    "x y x1 x2 y1 y2 cx cy r rx ry d points transform viewBox preserveAspectRatio fill "
    "fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray stroke-linecap "
    "stroke-linejoin opacity offset stop-color stop-opacity gradientUnits gradientTransform "
    "clip-path clip-rule mask marker-end marker-start markerWidth markerHeight refX refY orient "
    "patternUnits text-anchor dominant-baseline alignment-baseline font-family font-size "
    "font-weight font-style dx dy version xmlns vector-effect shape-rendering"
)
#: Elements that vanish with what they hold; of all others that are not allowed the text stays.
_GONE = _words(
    "script style iframe object embed noscript template link meta base head title textarea select "
    "button input audio video"
)

_PROTOCOLS = frozenset({"http", "https", "mailto", "data"})


def clean(html: str, scope: str) -> str:
    """The harmless part of a piece of HTML.

    Parameters
    ----------
    scope : str
        The id of the element that will hold it; its style sheets reach no further.
    """
    soup = BeautifulSoup(html, "html.parser")
    styles = [sheet.get_text() for sheet in soup.find_all("style")]
    for element in soup.find_all(sorted(_GONE)):
        if element.name != "title" or element.find_parent("svg") is None:
            element.decompose()
    kept = bleach.clean(
        str(soup),
        tags=TAGS,
        attributes=_allowed,
        protocols=_PROTOCOLS,
        strip=True,
        css_sanitizer=_AnyStyle(),
    )
    scoped = "".join(scope_style(sheet, scope) for sheet in styles)
    return f"<style>{scoped}</style>{kept}" if scoped else kept


class _AnyStyle:
    """Inline styles stay: what they style is inside its output, which is sealed off by CSS."""

    def sanitize_css(self, style: str) -> str:
        """Everything but characters that could end the attribute."""
        return re.sub(r"[<>\"]", "", style)


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "href":
        # In a drawing a reference may only point into the same document.
        return tag == "a" and not value.strip().lower().startswith("data:")
    if name == "src":
        return tag == "img" and re.match(r"data:image/[\w.+-]+;base64,", value) is not None
    return name in _EVERYWHERE or name in _IN_DRAWINGS


def scope_style(sheet: str, scope: str) -> str:
    """A style sheet whose every rule only matches inside the element with the id `scope`."""
    rules = tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True)
    return "".join(_scoped(rule, scope) for rule in rules).replace("<", "\\3c ")


def _scoped(rule: tinycss2.ast.Node, scope: str) -> str:
    if rule.type == "qualified-rule":
        selector = tinycss2.serialize(rule.prelude).strip()
        body = tinycss2.serialize(rule.content)
        # A rule within a rule could name its parent from outside: body:has(&) {…}.
        plain = _plain(rule.prelude) and _plain(rule.content)
        return f"#{scope} :is({selector}){{{body}}}" if selector and plain else ""
    if rule.type == "at-rule" and rule.lower_at_keyword in {"media", "supports"} and rule.content:
        condition = tinycss2.serialize(rule.prelude).strip()
        if not _plain(rule.prelude):
            return ""
        within = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
        rules = "".join(_scoped(inner, scope) for inner in within)
        return f"@{rule.lower_at_keyword} {condition}{{{rules}}}"
    return ""  # @import, @font-face and the like reach outside


def _plain(tokens: Sequence[tinycss2.ast.Node]) -> bool:
    """Whether they hold no braces, and no stray bracket that closes what they did not open."""
    return all(
        token.type not in {"error", "{} block"}
        and _plain(getattr(token, "content", None) or ())
        and _plain(getattr(token, "arguments", None) or ())
        for token in tokens
    )


def is_visible(html: str) -> bool:
    """Whether anything is left to see: text, a picture or a drawing."""
    soup = BeautifulSoup(html, "html.parser")
    for sheet in soup.find_all("style"):
        sheet.decompose()
    return bool(soup.get_text(strip=True) or soup.find(["img", "svg", "hr", "meter", "progress"]))
