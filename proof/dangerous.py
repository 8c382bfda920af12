"""Which calls and imports of the product could do harm with what strangers send, read from its syntax.

Knows no product module: source in, findings out. What may stay, and why, is said in tests/test_supply_chain.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Code out of data, shells, parsers that follow what they read, randomness that can be guessed, files anybody may take.
IMPORTS = frozenset({
    "pickle", "marshal", "shelve", "dill", "joblib", "yaml", "xml", "lxml", "telnetlib", "ftplib", "xmlrpc",
    "random", "crypt", "imp", "code", "codeop", "ctypes", "tarfile", "zipfile", "requests", "urllib3",
    "urllib.request", "http.client", "http.server", "socketserver", "wsgiref", "pty",
})  # fmt: skip
CALLS = frozenset({
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execve", "os.execvp",
    "os.fork", "os.umask", "tempfile.mktemp", "ssl._create_unverified_context", "hashlib.md5", "hashlib.sha1",
    "flask.render_template_string", "render_template_string", "jinja2.Template", "Template",
    "importlib.import_module", "input", "breakpoint", "sys.settrace", "logging.config.listen",
    "logging.config.fileConfig",
})  # fmt: skip
METHODS = frozenset({"extractall", "extract", "enable_load_extension", "load_extension", "from_string", "unsafe_load"})
KEYWORDS = {
    ("shell", True),
    ("verify", False),
    ("autoescape", False),
    ("check_hostname", False),
    ("debug", True),
}
NAMES = frozenset({"CERT_NONE", "AutoAddPolicy", "SHA1", "MD5", "TripleDES", "ECB"})
LISTENS_EVERYWHERE = frozenset({"0.0.0.0", "::", "[::]"})


@dataclass(frozen=True, order=True)
class Found:
    """One thing in one file."""

    file: str
    what: str


def found(path: Path, root: Path) -> set[Found]:
    """Return what *path* holds of the above."""
    file = path.relative_to(root).as_posix()
    return {Found(file, what) for node in ast.walk(ast.parse(path.read_bytes())) for what in _of(node)}


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (f"import {name.name}" for name in node.names if _known(name.name))
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        whole = [f"{node.module}.{name.name}" for name in node.names]
        if _known(node.module) or any(name in IMPORTS for name in whole):
            yield f"import {node.module}"
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield node.attr
    elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
        yield from _of_assignment(node, node.value.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in LISTENS_EVERYWHERE:
        yield f'"{node.value}"'


def _of_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name in CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
        yield f"{name.rpartition('.')[2] if '(' in name else name}()"
    if name.rpartition(".")[2] == "Markup" and not all(isinstance(one, ast.Constant) for one in node.args):
        yield "Markup() of what is no constant"
    for keyword in node.keywords:
        if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in KEYWORDS:
            yield f"{keyword.arg}={keyword.value.value!r}"


def _of_assignment(node: ast.Assign, value: object) -> Iterator[str]:
    for target in node.targets:
        if isinstance(target, ast.Attribute) and (target.attr, value) in KEYWORDS:
            yield f"{target.attr}={value!r}"


def _known(module: str) -> bool:
    return module in IMPORTS or module.partition(".")[0] in IMPORTS
