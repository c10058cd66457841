"""Strict settings for every test: what JAX would let pass silently is an error."""

import os
import signal
import tempfile
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Shape annotations are checked at every call, in tests alone.
install_import_hook("jaxbias", "beartype.beartype")

# A shell starts background jobs deaf to SIGINT, and the runs that tests start inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machine code is hardly tuned, and compiles in a third of the time: most of a first run of
# these tests is compiling. Commands in processes of their own do without, as a user's do.
FLAGS = ["--xla_backend_optimization_level=0"]
if jax.__version_info__ < (0, 11):
    # Later versions do not know it.
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

# A test that spreads work over devices has four of them, whatever the machine.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)

# Workers and later runs share compiled programs.
CACHE = Path(tempfile.gettempdir()) / f"jaxbias-tests-{os.getuid()}"
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


# Half of drawing a figure is the search for margins, which no test looks at. Commands in
# processes of their own do it.
ConstrainedLayoutEngine.execute = lambda self, fig: None


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def forgotten_programs():
    """Compiled programs would fill several gigabytes by the end of a session."""
    yield
    jax.clear_caches()
