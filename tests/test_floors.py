"""Imports point down, are declared and take no time: checked from the source text."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxbias

PACKAGE = Path(jaxbias.__file__).parent

# Rooms by floor. A module may import from lower floors, and from its own room.
FLOORS = {
    "arrays": 0.0,
    "ledger": 0.0,
    "files": 0.0,
    "terminal": 0.0,
    "last_line": 0.0,
    "presence": 0.05,
    "rng": 0.1,
    "devices": 0.1,
    "lanes": 0.1,
    "settings": 0.1,
    "tables": 0.1,
    "manifest": 0.1,
    "runs": 0.2,
    "plotting": 0.3,
    "numerics": 1,
    "models": 2,
    "data": 2,
    "probes": 3,
    "training": 3,
    "sweeps": 3,
    "studies": 4,
    "report": 4.1,
    "cli": 4.2,
}


def _room(module: str) -> str | None:
    """The first name below the package: numerics in jaxbias.numerics.fourier."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "jaxbias" else None


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found += [
                f"{module}.{alias.name}" if module == "jaxbias" else module
                for alias in node.names
            ]
    return found


def _sources() -> list[tuple[Path, str]]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [(f, f.relative_to(PACKAGE).parts[0].removesuffix(".py")) for f in files]


def test_every_room_has_a_floor():
    rooms = {room for _, room in _sources()} - {"__init__"}
    assert rooms <= set(FLOORS), f"give a floor to {rooms - set(FLOORS)}"


def test_imports_point_down():
    wrong = []
    for path, room in _sources():
        if room == "__init__":
            continue
        for module in _imports(path):
            other = _room(module)
            if other and other != room and FLOORS[other] >= FLOORS[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong, wrong


def test_numerics_know_no_networks_and_no_files():
    for path, room in _sources():
        if room == "numerics":
            names = {module.split(".")[0] for module in _imports(path)}
            assert not names & {"flax", "pathlib", "os", "io", "matplotlib"}, path


def test_no_room_without_a_name_of_its_own():
    vague = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert not [path for path, _ in _sources() if path.stem in vague]


def test_every_module_says_what_it_is_for():
    for path, _ in _sources():
        line = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
        assert len(line.split()) > 3, f"{path}: {line!r}"


def test_importing_loads_neither_tensorflow_nor_matplotlib_and_touches_no_device():
    code = (
        "import sys, jaxbias, jaxbias.sweeps, jaxbias.probes.complexity, jaxbias.runs\n"
        "import jaxbias.cli\n"
        "assert 'tensorflow' not in sys.modules and 'matplotlib' not in sys.modules\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge._backends\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_command_line_reads_its_options_without_jax():
    code = (
        "import sys, jaxbias.cli\n"
        "from jaxbias.studies.neural_redshift.random_networks import experiment\n"
        "assert 'jax' not in sys.modules and 'flax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


IMPORTED_AS = {
    **{"absl-py": "absl", "orbax-checkpoint": "orbax", "pillow": "PIL"},
    "tensorflow-datasets": "tensorflow_datasets",
}
"""Packages that are not imported by the name that they are installed by."""

FOR_OTHERS = {"importlib_resources"}
"""Dependencies that another dependency imports without asking for them."""


def test_what_is_imported_is_declared_and_the_reverse():
    declared = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    names = [re.split("[>=<\\[]", line)[0] for line in declared["dependencies"]]
    modules = {IMPORTED_AS.get(name, name) for name in names} - FOR_OTHERS
    found = {m.split(".")[0] for path, _ in _sources() for m in _imports(path)}
    assert found - set(sys.stdlib_module_names) - {"jaxbias"} == modules


def test_measuring_imports_in_a_third_of_a_second_beyond_jax():
    # The processor's time, and the least of three: the machine may do other things too.
    code = (
        "import time, jax, jax.numpy\n"
        "began = time.process_time()\n"
        "import jaxbias\n"
        "from jaxbias.numerics.grids import grid\n"
        "from jaxbias.probes.complexity import measure\n"
        "print(time.process_time() - began)\n"
    )
    command = [sys.executable, "-c", code]
    seconds = [
        float(
            subprocess.run(command, check=True, timeout=60, capture_output=True).stdout
        )
        for _ in range(3)
    ]
    assert min(seconds) < 0.3
