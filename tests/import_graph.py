"""Which module imports which, read from the source: nothing is executed."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import tfdl

PACKAGE = Path(tfdl.__file__).parent


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all imports in a file, in functions too; ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    """The file's place in the package, such as ``data/order.py``."""
    return path.relative_to(PACKAGE).as_posix()


def import_graph(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Module -> the modules of tfdl that it imports, inside functions too.

    A public name that a package loads lazily counts as an import of the module that defines it. What a package's own
    ``__init__.py`` imports for type checkers alone does not count.
    """
    graph = {}
    for path in paths:
        names = _runtime_imports(path) if path.name == "__init__.py" else imports(path)
        found = {_defining_module(name) for name in names if name == "tfdl" or name.startswith("tfdl.")}
        graph[_module_of(path)] = found
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, however far around; a module that imports itself is one."""
    reached = {start: _reachable(graph, start) for start in graph}
    found = {frozenset(other for other in reached[start] if start in reached.get(other, ())) for start in graph}
    return sorted(sorted(group) for group in found if group)


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Everything that ``start`` imports, directly or not."""
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(graph.get(module, ()))
    return seen


def _module_of(path: Path) -> str:
    if PACKAGE in path.parents:
        parts = ("tfdl", *path.relative_to(PACKAGE).with_suffix("").parts)
    else:  # the commands, by their link's target
        parts = ("tfdl", "cli", *path.relative_to(PACKAGE.parent / "cli").with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def _runtime_imports(path: Path) -> Iterator[str]:
    """As ``imports``, without blocks of ``if TYPE_CHECKING``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    skipped = {id(inner) for node in checked for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _defining_module(name: str) -> str:
    """The module that a dotted name is, or that defines it."""
    path = PACKAGE.parent / Path(*name.split("."))
    if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
        return name
    package, _, attribute = name.rpartition(".")
    return _lazy_names(package).get(attribute, package)


def _lazy_names(package: str) -> dict[str, str]:
    """Public name -> module, of a package that loads its names lazily."""
    path = PACKAGE.parent / Path(*package.split(".")) / "__init__.py"
    if not path.is_file():
        return {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("_PUBLIC", "_LAZY"):
            names: dict[str, str] = ast.literal_eval(node.value)
            return names
    return {}
