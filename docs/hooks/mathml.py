"""Turns equations into MathML, which browsers show without a script."""

import re
from html import unescape

from latex2mathml.converter import convert

_EQUATION = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)


def on_page_content(html: str, **_: object) -> str:
    """Replace what pymdownx.arithmatex has marked."""

    def equation(match: re.Match) -> str:
        tag, text = match.groups()
        tex = unescape(text).strip()[2:-2].strip()
        if tag == 'span':
            return convert(tex)
        return f'<div class="equation">{convert(tex, display="block")}</div>'

    return _EQUATION.sub(equation, html)
