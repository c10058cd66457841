"""Imports point down: the plan of the house, checked from the source text."""

import ast
import subprocess
import sys
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
    "report": 4,
    "cli": 4.1,
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
