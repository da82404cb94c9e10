"""Who may import whom: walks the imports of every module and holds docs/architecture.md's rules."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tfdl

PACKAGE = Path(tfdl.__file__).parent
LIBRARY = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "cli")
COMMANDS = sorted((PACKAGE / "cli").resolve().glob("*.py"))

# Package -> the packages of tfdl that its modules may import; its own is always allowed.
ALLOWED = {
    "config": {"errors"},
    "distributed": {"errors"},
    "layers": {"distributed.world"},
    "models": {"layers", "config", "errors"},
    "optimizers": {"config", "errors"},
    "data": {"config", "errors"},
    "tasks": {"data", "config", "errors"},
    "inspection": {"models", "layers.cudnn", "optimizers", "config", "errors"},
    "runs": {"models", "tasks", "config", "errors"},
    "evaluation": {"models", "tasks", "runs", "data", "distributed", "config", "errors"},
    "export": {"models", "layers.cudnn", "tasks", "runs", "data", "distributed", "config", "errors"},
    "diagnosis": {"distributed", "data", "models", "optimizers", "tasks", "training", "errors"},
    "training": {"config", "data", "distributed", "errors", "evaluation", "models", "optimizers", "runs", "tasks"},
}
# Modules that import Horovod, or start a program that does.
HOROVOD = {
    "horovod.py",
    "elastic.py",
    "install.py",
    "allreduce_proof.py",
    "wheel_build.py",
    "build_environment.py",
    "srun.py",
}


def imports(path):
    """Dotted names of all imports in a file, in functions too; ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_a_package_imports_what_it_may(path):
    package = path.relative_to(PACKAGE).parts[0]
    if package not in ALLOWED:
        assert path.parent == PACKAGE, f"{path} is in a package without a rule; say in ALLOWED what it may import"
        return
    for name in imports(path):
        if name.startswith("tfdl.") and name.split(".")[1] not in (package, "__version__"):
            inner = name.removeprefix("tfdl.")
            allowed = any(inner == rule or inner.startswith(f"{rule}.") for rule in {*ALLOWED[package], "lazy"})
            assert allowed, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_neither_knows_the_command_line_nor_prints(path):
    if path.name == "__main__.py":
        return
    assert not [name for name in imports(path) if name.split(".")[:2] == ["tfdl", "cli"] or name.startswith("click")]
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id in ("print", "exit", "input")]


@pytest.mark.parametrize("path", [*LIBRARY, *COMMANDS], ids=lambda path: path.name)
def test_only_a_few_modules_import_horovod(path):
    if path.parent == PACKAGE / "distributed" and path.name in HOROVOD:
        return
    assert not [name for name in imports(path) if name.split(".")[0] == "horovod"]


@pytest.mark.parametrize("path", (PACKAGE / "config").rglob("*.py"), ids=name_of)
def test_config_needs_the_standard_library_and_yaml(path):
    foreign = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
    assert foreign <= {"tfdl", "yaml"}


def test_the_world_needs_numpy_and_tensorflow():
    foreign = {name.split(".")[0] for name in imports(PACKAGE / "distributed" / "world.py")}
    assert foreign - set(sys.stdlib_module_names) <= {"numpy", "tensorflow"}


def test_data_never_asks_for_a_rank():
    for path in (PACKAGE / "data").glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        attributes = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not {"rank", "world", "current_world", "local_rank"} & (names | attributes), path.name


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_commands_import_what_is_heavy_in_bodies_only(path):
    if path.name == "progress.py":  # imported by a body itself
        return
    top = ast.parse(path.read_text(encoding="utf-8")).body
    for node in top:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.split(".")[0] in {*sys.stdlib_module_names, "click", "tfdl"}, name
            assert name == "tfdl" or not name.startswith("tfdl.") or name.startswith(("tfdl.cli", "tfdl.errors"))


@pytest.mark.parametrize(
    "module",
    ["tfdl", "tfdl.config", "tfdl.errors", "tfdl.data", "tfdl.data.tokenizers", "tfdl.runs", "tfdl.training",
     "tfdl.evaluation", "tfdl.export", "tfdl.distributed", "tfdl.inspection", "tfdl.models", "tfdl.diagnosis",
     "tfdl.cli.main"],
)  # fmt: skip
def test_importing_is_light(module):
    heavy = "{'tensorflow', 'keras', 'horovod', 'tensorflow_datasets', 'sklearn'}"
    program = f"import sys, {module}; found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_can_be_imported():
    packages = ("config", "data", "data.tokenizers", "diagnosis", "distributed", "inspection", "models", "training")
    for package in (tfdl, *(import_module(f"tfdl.{name}") for name in packages)):
        for name in package.__all__:
            assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="module 'tfdl' has no attribute 'nothing'"):
        tfdl.nothing  # noqa: B018


def test_the_command_line_is_a_link_to_cli():
    assert (PACKAGE / "cli").is_symlink()
    assert (PACKAGE / "cli").resolve() == PACKAGE.parent / "cli"
