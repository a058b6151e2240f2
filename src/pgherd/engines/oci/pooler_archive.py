"""The program of a pooler's host as one archive, which python3 runs as it is. Pure but for reading.

In it lie the files of `pooler_host` and `programs`, at the paths that they have here. Docstrings
are left out: nobody can log in to a host to read them, and what an instance's metadata may hold is
little. Lines keep their numbers, so that a traceback in the journal speaks of the same lines as the
source. The same source gives the same bytes.
"""

from __future__ import annotations

import ast
import io
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import pgherd
from pgherd.syntax import parsed

ROOT = Path(pgherd.__file__).parent
PACKAGES = ("engines/oci/pooler_host", "programs")
PARENTS = ("__init__.py", "engines/__init__.py", "engines/oci/__init__.py")
"""What has to be there for those to be imported."""
START = """\
import sys

from pgherd.engines.oci.pooler_host.main import main

main(sys.argv[1:])
"""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o644 << 16


def archive() -> bytes:
    """The whole archive. It is not compressed, so that whoever packs it packs all files at once."""
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_STORED) as packed:
        for name, text in sorted(_texts().items()):
            entry = ZipInfo(name, _LONG_AGO)
            entry.create_system = 3
            entry.external_attr = _READABLE
            packed.writestr(entry, text)
    return content.getvalue()


def _texts() -> dict[str, str]:
    files = [f"{name}/{path.name}" for name in PACKAGES for path in (ROOT / name).glob("*.py")]
    texts = {f"pgherd/{name}": _without_docstrings(name) for name in (*PARENTS, *files)}
    return texts | {"__main__.py": START}


def _without_docstrings(name: str) -> str:
    """A file with an empty text for each docstring, and empty lines for what it took."""
    source = (ROOT / name).read_text()
    lines = source.splitlines()
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            continue
        if isinstance(node.value.value, str) and node.end_lineno:
            rest = [""] * (node.end_lineno - node.lineno)
            lines[node.lineno - 1 : node.end_lineno] = [" " * node.col_offset + '""', *rest]
    return "".join(f"{line}\n" for line in lines)
