"""Fill in a template's values without rendering it anew, and encode what differs alone: each mail waits for a notice.

Where a template does no more with a value than show it, or ask whether it is empty, its text is the same around any
value. That is read off the template's syntax tree, from a short list of what is known to be so; any other template is
rendered each time. Both ways give the same bytes. Knows nothing of what the values are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from secrets import token_hex

from jinja2 import Template, nodes
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import escape

from .notice_mail import encoded
from .notice_texts import named, render

#: What a template may be made of, anywhere. Not in here: whatever takes names from elsewhere, sets them, or loops.
_KNOWN = {
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.FilterBlock),
    *(nodes.Const, nodes.Name, nodes.Getattr, nodes.Call, nodes.Keyword, nodes.Filter),
    *(nodes.Or, nodes.And, nodes.Not, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.Concat),
}
_TRANSLATIONS = {"_", "gettext", "ngettext"}
#: The filters that our templates need, and their like. Among the others is one that throws dice.
_FILTERS = {"wordwrap", "indent", "trim", "upper", "lower", "title", "capitalize", "replace", "safe", "escape", "e"}


@dataclass(frozen=True)
class _Blank:
    """Where a value is to be put."""

    name: str


#: Lines that are always the same, encoded; between them lines that hold values.
_Form = tuple[bytes | tuple[str | _Blank, ...], ...]


def body(made: SandboxedEnvironment, name: str, fixed: Mapping[str, object], values: Mapping[str, str]) -> bytes:
    """Render the template *name* and encode it; *fixed* is what is the same in many mails and can be hashed."""
    if not any("\n" in value or "\r" in value for value in values.values()):
        with named(made, name):
            template = made.get_template(name)
        filled = frozenset(key for key, value in values.items() if value)
        form = _form(template, tuple(fixed.items()), tuple(values), filled)
        if form is not None:
            return _filled(
                form, {key: str(escape(value)) for key, value in values.items()} if _escapes(name) else values
            )
    return encoded(render(made, name, {**fixed, **values}))


def fixed_text(made: SandboxedEnvironment, name: str, fixed: Mapping[str, object]) -> str:
    """Render the template *name*, which knows only what is *fixed*."""
    with named(made, name):
        template = made.get_template(name)
    text = _rendered(template, tuple(fixed.items()), ())
    return render(made, name, fixed) if text is None else text


def _filled(form: _Form, shown: Mapping[str, str]) -> bytes:
    return b"".join(
        piece
        if isinstance(piece, bytes)
        else encoded("".join(part if isinstance(part, str) else shown[part.name] for part in piece))
        for piece in form
    )


@lru_cache(maxsize=512)
def _form(
    template: Template, fixed: tuple[tuple[str, object], ...], names: tuple[str, ...], filled: frozenset[str]
) -> _Form | None:
    """Return the form of *template* where the values *filled* are not empty; None if it has none."""
    marks = {key: token_hex(16) if key in filled else "" for key in names}
    text = _rendered(template, fixed, tuple(marks.items()))
    return None if text is None or "\r" in text else _cut(text, {mark: key for key, mark in marks.items() if mark})


@lru_cache(maxsize=64)
def _rendered(
    template: Template, fixed: tuple[tuple[str, object], ...], values: tuple[tuple[str, str], ...]
) -> str | None:
    """Render *template*, unless it does more with *values* than can be told from one text what it does to others."""
    made, name = template.environment, template.name
    if not isinstance(made, SandboxedEnvironment) or name is None or made.loader is None:
        return None
    with named(made, name):
        # The file may have changed since: what is analysed here must be what is rendered here.
        source, path, _ = made.loader.get_source(made, name)
        if not _is_plain(made.parse(source, name), frozenset(dict(values))):
            return None
        again = Template.from_code(made, made.compile(source, name, path), made.make_globals(None))
        return again.render(dict(fixed + values))


def _cut(text: str, keys: Mapping[str, str]) -> _Form:
    """Cut *text* into lines with values and what lies between; quoted-printable encodes each line by itself."""
    form: list[bytes | tuple[str | _Blank, ...]] = []
    same = ""
    mark = re.compile(f"({'|'.join(keys) or '(?!)'})")
    for line in text.removesuffix("\n").split("\n"):
        parts = mark.split(f"{line}\n")
        if len(parts) == 1:
            same += parts[0]
            continue
        if same:
            form.append(encoded(same))
            same = ""
        form.append(tuple(_Blank(keys[part]) if part in keys else part for part in parts))
    return (*form, encoded(same)) if same else tuple(form)


def _is_plain(tree: nodes.Template, names: frozenset[str]) -> bool:
    """Whether *tree* does nothing with *names* but show them or ask whether they are empty."""
    return all(map(_is_known, tree.find_all(nodes.Node))) and all(
        _is_plain_statement(node, names) for node in tree.body
    )


def _is_known(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Name) and node.node.name in _TRANSLATIONS
    if isinstance(node, nodes.Filter):
        return node.name in _FILTERS
    if isinstance(node, nodes.Name):
        return node.ctx == "load"
    return type(node) in _KNOWN


def _is_plain_statement(node: nodes.Node, names: frozenset[str]) -> bool:
    if isinstance(node, nodes.Output):
        return all(_is_shown(child, names) for child in node.nodes)
    if isinstance(node, nodes.If):
        inner = (*node.body, *node.elif_, *node.else_)
        return _is_question(node.test, names) and all(_is_plain_statement(child, names) for child in inner)
    return _is_fixed(node, names)


def _is_shown(node: nodes.Node, names: frozenset[str]) -> bool:
    """Whether the expression *node* gives a value as it is, or something fixed."""
    if isinstance(node, nodes.Name):
        return True
    if isinstance(node, nodes.Or | nodes.And):
        return _is_shown(node.left, names) and _is_shown(node.right, names)
    if isinstance(node, nodes.CondExpr):
        chosen = (node.expr1, node.expr2)
        return _is_question(node.test, names) and all(one is None or _is_shown(one, names) for one in chosen)
    return _is_fixed(node, names)


def _is_question(node: nodes.Node, names: frozenset[str]) -> bool:
    """Whether the expression *node* asks no more of a value than whether it is empty."""
    if isinstance(node, nodes.Name):
        return True
    if isinstance(node, nodes.Not):
        return _is_question(node.node, names)
    if isinstance(node, nodes.Or | nodes.And):
        return _is_question(node.left, names) and _is_question(node.right, names)
    return _is_fixed(node, names)


def _is_fixed(node: nodes.Node, names: frozenset[str]) -> bool:
    return not any(one.name in names for one in node.find_all(nodes.Name))


def _escapes(name: str) -> bool:
    return name.endswith(".html")
