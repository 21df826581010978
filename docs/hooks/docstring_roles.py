"""Shows Sphinx's roles in docstrings, as :class:`X`, the way Markdown does: `X`."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r':(?:class|func|meth|attr|data|mod|obj|exc):`~?\.*([^`]+)`')


class DocstringRoles(griffe.Extension):
    """Rewrites every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(r'`\1`', obj.docstring.value)
