"""The archive that a pooler's host runs: the whole program, and all that it needs."""

import ast
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pgherd
from pgherd.engines.oci.pooler_archive import archive

ROOT = Path(pgherd.__file__).parents[1]
PACKAGE = "pgherd/engines/oci/pooler_host"


def content() -> dict[str, str]:
    with ZipFile(io.BytesIO(archive())) as found:
        assert found.testzip() is None
        return {name: found.read(name).decode() for name in found.namelist()}


def test_the_same_source_is_the_same_archive() -> None:
    """Whenever its files were written, and in whatever order they are found."""
    with ZipFile(io.BytesIO(archive())) as found:
        entries = found.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {(entry.create_system, entry.external_attr) for entry in entries} == {(3, 0o644 << 16)}
    names = [entry.filename for entry in entries]
    assert names == sorted(set(names))
    assert archive() == archive()


def test_the_whole_program_is_in_it() -> None:
    own = {f"{PACKAGE}/{path.name}" for path in (ROOT / PACKAGE).iterdir() if path.suffix == ".py"}
    assert len(own) > 5
    assert own <= content().keys()


def test_only_docstrings_are_left_out() -> None:
    """Every statement is where it was, to the line and the column."""
    found = content()
    del found["__main__.py"]
    for name, text in found.items():
        source = (ROOT / name).read_text()
        assert statements(text) == statements(source), name
        assert len(text) <= len(source), name


def statements(source: str) -> tuple[str, list[tuple[int, int]]]:
    """All but docstrings, and where each begins."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [statement for statement in node.body if not is_docstring(statement)]
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return ast.dump(tree), [(node.lineno, node.col_offset) for node in nodes]


def is_docstring(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)


def test_it_imports_itself_and_the_standard_library_only_and_the_sdk_late() -> None:
    found = content()
    modules = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in found
    }
    for name, text in found.items():
        tree = ast.parse(text)
        early = {module for node in tree.body for module in imported(node)}
        late = {module for node in ast.walk(tree) for module in imported(node)} - early
        others = {module for module in early if module.split(".")[0] not in sys.stdlib_module_names}
        assert others <= modules, name
        assert late == ({"oci"} if name == f"{PACKAGE}/vault.py" else set()), name


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0
        yield node.module or ""


def test_plain_python_runs_it(tmp_path: Path) -> None:
    """As far as to its settings, which are not there; a traceback has the source's lines."""
    program = tmp_path / "pooler_host.pyz"
    program.write_bytes(archive())
    command: list[Path | str] = [sys.executable, "-I", "-S", program, tmp_path / "settings.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("FileNotFoundError: ")
    source = (ROOT / PACKAGE / "main.py").read_text().splitlines()
    (line,) = [n for n, text in enumerate(source, 1) if "read_text()" in text]
    assert f'{program}/{PACKAGE}/main.py", line {line}, in main' in done.stderr
