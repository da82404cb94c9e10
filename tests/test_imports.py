"""Who may import whom: walks the imports of every module and holds the rules of docs/architecture.md."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest

import tfdl
from tests.import_graph import PACKAGE, circles, import_graph, imports, name_of

LIBRARY = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "cli")
COMMANDS = sorted((PACKAGE / "cli").resolve().rglob("*.py"))

# Package -> the packages of tfdl that its modules may import; its own is always allowed.
ALLOWED = {
    "errors.py": set(),
    "garbage_collection.py": set(),
    "json_files.py": {"errors"},
    "lazy.py": set(),
    "memory.py": set(),
    "registry.py": {"errors"},
    "plugins.py": {"errors", "registry"},
    "serialization.py": {"errors", "registry"},
    "config": {"errors", "json_files", "plugins", "registry"},
    "distributed": {"errors"},
    "horovod_build": {"distributed", "errors"},
    "layers": {"distributed.world"},
    "models": {"layers", "config", "errors", "json_files", "serialization"},
    "optimizers": {"config", "errors", "serialization"},
    "data": {"config", "errors", "json_files"},
    "tasks": {"data", "config", "errors", "json_files", "serialization"},
    "inspection": {"models", "layers.cudnn", "optimizers", "config", "errors"},
    "runs": {"models", "tasks", "config", "errors", "json_files"},
    "reporting": {
        "models",
        "tasks",
        "runs",
        "evaluation",
        "inference",
        "inspection",
        "distributed",
        "config",
        "errors",
        "json_files",
    },
    "interop": {"models", "tasks", "runs", "data", "inspection", "config", "errors", "json_files"},
    "evaluation": {"models", "tasks", "runs", "data", "distributed", "config", "errors"},
    "inference": {
        "layers",
        "models",
        "tasks",
        "runs",
        "data",
        "distributed",
        "evaluation",
        "memory",
        "config",
        "errors",
    },
    "export": {
        "models",
        "layers",
        "tasks",
        "inference",
        "interop",
        "evaluation",
        "runs",
        "data",
        "distributed",
        "config",
        "errors",
    },
    "serving": {"garbage_collection", "export", "inference", "tasks", "runs", "models", "config", "errors"},
    "diagnosis": {"distributed", "data", "models", "optimizers", "tasks", "training", "errors"},
    "training": {
        "config",
        "data",
        "distributed",
        "errors",
        "evaluation",
        "inference",
        "models",
        "optimizers",
        "runs",
        "serialization",
        "tasks",
    },
}
# Modules that import Horovod, or start a program that does.
HOROVOD = {
    "distributed/horovod.py",
    "distributed/elastic/ranks.py",
    "distributed/srun.py",
    "horovod_build/allreduce_proof.py",
    "horovod_build/build_environment.py",
    "horovod_build/install.py",
    "horovod_build/installed_package.py",
    "horovod_build/wheel_build.py",
}
# Where a rank is nobody's business.
WITHOUT_RANKS = ("config", "data", "models", "optimizers", "tasks", "inspection")


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_a_package_imports_what_it_may(path):
    package = path.relative_to(PACKAGE).parts[0]
    if package in ("__init__.py", "__main__.py"):
        return
    for name in imports(path):
        if name.startswith("tfdl.") and name.split(".")[1] not in (package, "__version__"):
            inner = name.removeprefix("tfdl.")
            allowed = any(inner == rule or inner.startswith(f"{rule}.") for rule in {*ALLOWED[package], "lazy"})
            assert allowed, f"{name_of(path)} imports {name}"


def test_no_imports_go_in_a_circle():
    """Imports inside functions count: a circle that is broken by one is still two files that need each other."""
    assert circles(import_graph([*LIBRARY, *COMMANDS])) == []


def test_the_circle_test_finds_circles():
    """Its control."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}, "e": {"a"}}
    assert circles(graph) == [["b", "c"], ["d"]]
    inside_a_function = PACKAGE / "training" / "entry.py"
    assert "tfdl.training.session" in import_graph([inside_a_function])["tfdl.training.entry"]


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_neither_knows_the_command_line_nor_prints(path):
    if path.name == "__main__.py":
        return
    assert not [name for name in imports(path) if name.split(".")[:2] == ["tfdl", "cli"] or name.startswith("click")]
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id in ("print", "exit", "input")]


@pytest.mark.parametrize("path", [*LIBRARY, *COMMANDS], ids=lambda path: path.name)
def test_only_a_few_modules_import_horovod(path):
    if path in LIBRARY and name_of(path) in HOROVOD:
        return
    assert not [name for name in imports(path) if name.split(".")[0] == "horovod"]


def test_the_list_of_those_modules_is_true():
    assert all((PACKAGE / name).is_file() for name in HOROVOD)


@pytest.mark.parametrize("path", (PACKAGE / "config").rglob("*.py"), ids=name_of)
def test_config_needs_the_standard_library_and_yaml(path):
    foreign = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
    assert foreign <= {"tfdl", "yaml"}


def test_the_world_needs_numpy_and_tensorflow():
    """Nor do the files that its class is composed of need anything else."""
    parts = {"collective_arguments", "object_collectives"}
    for name in ("world", *parts):
        imported = list(imports(PACKAGE / "distributed" / f"{name}.py"))
        foreign = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names)
        assert foreign <= {"numpy", "tensorflow", "tfdl"}
        for inner in (name for name in imported if name.startswith("tfdl.")):
            assert inner.split(".")[1] == "errors" or inner.split(".")[2] in parts, inner


@pytest.mark.parametrize("package", WITHOUT_RANKS)
def test_these_packages_never_ask_for_a_rank(package):
    for path in (PACKAGE / package).rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        # `x.shape.rank` is a number of axes.
        axes = {"rank"} if package in ("models", "tasks") else set()
        assert not ({"rank", "world", "current_world", "local_rank"} - axes) & (names | attributes), name_of(path)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_commands_import_what_is_heavy_in_bodies_only(path):
    if path.name == "progress.py":  # imported by a body itself
        return
    top = ast.parse(path.read_text(encoding="utf-8")).body
    light = ("tfdl.cli", "tfdl.errors", "tfdl.garbage_collection")
    for node in top:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.split(".")[0] in {*sys.stdlib_module_names, "click", "tfdl"}, name
            assert name == "tfdl" or not name.startswith("tfdl.") or name.startswith(light)


LIGHT = [
    "tfdl",
    "tfdl.config",
    "tfdl.errors",
    "tfdl.garbage_collection",
    "tfdl.data",
    "tfdl.data.embedded",
    "tfdl.data.files",
    "tfdl.data.objects",
    "tfdl.data.tfds",
    "tfdl.data.tokenizers",
    "tfdl.data.tokens",
    "tfdl.runs",
    "tfdl.training",
    "tfdl.evaluation",
    "tfdl.export",
    "tfdl.distributed",
    "tfdl.horovod_build",
    "tfdl.inference",
    "tfdl.inference.generation",
    "tfdl.inspection",
    "tfdl.interop",
    "tfdl.models",
    "tfdl.optimizers",
    "tfdl.plugins",
    "tfdl.registry",
    "tfdl.reporting",
    "tfdl.serialization",
    "tfdl.serving",
    "tfdl.tasks",
    "tfdl.diagnosis",
    "tfdl.cli.main",
]


def test_importing_is_light():
    """One process for all of them; where it fails, the first that was too heavy is named."""
    program = f"""
import importlib, sys
for name in {LIGHT}:
    importlib.import_module(name)
    found = {{'tensorflow', 'keras', 'horovod', 'tensorflow_datasets', 'sklearn'}} & set(sys.modules)
    if found:
        sys.exit(f"{{name}} imports {{found}}")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_packages_are_attributes_of_tfdl():
    """``import tfdl`` is enough for ``tfdl.runs.load_run``. In a process where nothing else has imported them."""
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"cli", "horovod_build"}
    names = sorted({*packages, "errors", "plugins"})
    program = f"import tfdl; print([name for name in {names} if not hasattr(tfdl, name)])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_can_be_imported():
    packages = (
        "config",
        "data",
        "data.tokenizers",
        "diagnosis",
        "distributed",
        "evaluation",
        "export",
        "inference.generation",
        "inspection",
        "interop",
        "models",
        "optimizers",
        "reporting",
        "runs",
        "serving",
        "tasks",
        "training",
    )
    for package in (tfdl, *(import_module(f"tfdl.{name}") for name in packages)):
        for name in package.__all__:
            assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="module 'tfdl' has no attribute 'nothing'"):
        tfdl.nothing  # noqa: B018


def test_the_command_line_is_a_link_to_cli():
    assert (PACKAGE / "cli").is_symlink()
    assert (PACKAGE / "cli").resolve() == PACKAGE.parent / "cli"
