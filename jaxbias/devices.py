"""Which devices and processes a run has, and how it is spread over them.

Several processes form one mesh of devices; process 0 alone writes tables and figures.
"""

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbias import last_line, presence

NETWORKS = "networks"
"""Name of the mesh axis over which networks are spread."""

MAX_CPU_DEVICES = 64

HEARTBEAT_SECONDS = 45
"""After so long without a sign of life JAX takes a process for dead; it is sent by a
thread that neither Python nor a compilation holds up."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """How this process finds the others of a run on many hosts.

    Attributes:
        coordinator: `host:port` of process 0, or None where the cluster's scheduler
            tells (SLURM, GKE, Open MPI, Cloud TPU).
        num_processes: How many processes take part, or None as above.
        process_id: This process's number, from 0, or None as above.
    """

    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


def usable_cpus() -> int:
    """Count the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start(
    cluster: Cluster | None = None,
    *,
    cpu_devices: int | None = None,
    compile_cache: Path | None = None,
) -> None:
    """Set up devices, processes and the compile cache; call before any use of JAX.

    On a CPU one device is made per processor: networks are spread over devices, so a
    laptop takes the same code path as a host with many GPUs, and is faster for it.

    Args:
        cluster: Where the other processes are, or None for a single process.
        cpu_devices: Number of CPU devices; None takes one per usable processor.
        compile_cache: Folder of the persistent compile cache; None switches it off.

    Raises:
        RuntimeError: If JAX has already been used in this process.
        ValueError: If a cluster is asked for and cannot be found.
    """
    global _here
    count = cpu_devices or min(usable_cpus(), MAX_CPU_DEVICES)
    jax.config.update("jax_num_cpu_devices", count)
    if compile_cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(compile_cache))
        # Our programs compile in under the default threshold of one second.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    if cluster is not None:
        last_line.watch()
        # It would take SIGTERM for itself, and a run could not be told to stop.
        jax.config.update("jax_enable_preemption_service", False)
        jax.distributed.initialize(
            coordinator_address=cluster.coordinator,
            num_processes=cluster.num_processes,
            process_id=cluster.process_id,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
        if not alone():
            host = (cluster.coordinator or "").rpartition(":")[0].strip("[]")
            _here = presence.join(jax.process_index(), _same_length, host or None)


_here = presence.Presence()
"""This process among the others."""


def done() -> None:
    """Say that this process has done its part of the run, and wait for process 0's."""
    _here.done()
    _here.wait()


def end_if_another_has(seconds: float = 5.0) -> None:
    """End this process, in one line, if one of the others turns out to have ended.

    What is left of a run then fails in any way: an exchange, or a checkpoint.
    """
    if _here.watching:
        time.sleep(seconds)


def leave(seconds: float = 3.0) -> None:
    """Leave a run of several processes; wait for the others no longer than this."""
    _here.leaving()

    def shut_down() -> None:
        # Whatever is wrong with it: this process ends, and has said why.
        with contextlib.suppress(Exception):
            jax.distributed.shutdown()

    waiting = threading.Thread(target=shut_down, daemon=True)
    waiting.start()
    waiting.join(seconds)


class CompileClock:
    """Adds up the seconds that JAX spends on tracing, lowering and compiling."""

    EVENTS = "/jax/core/compile/"

    def __init__(self) -> None:
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event.startswith(self.EVENTS):
            self.seconds += duration_secs


def default_compile_cache() -> Path:
    """Folder of the persistent compile cache, under the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxbias" / "xla"


def mesh(num_devices: int | None = None, *, axis: str = NETWORKS) -> Mesh:
    """Lay all devices of all processes (or the first few) along one axis."""
    devices = jax.devices()
    if num_devices is not None:
        devices = devices[:num_devices]
    return Mesh(np.asarray(devices), (axis,))


def words(mesh: Mesh) -> str:
    """How many of which devices a mesh has, for messages: "2 cpu devices"."""
    return f"{mesh.size} {mesh.devices.flat[0].platform} devices"


def is_writer() -> bool:
    """Tell whether this process writes files: process 0 does, the others do not."""
    return jax.process_index() == 0


def alone() -> bool:
    """Tell whether this process is the only one of the run."""
    return jax.process_count() == 1


def together(place: str) -> None:
    """Wait until every process of the run has come to this place."""
    if not alone():
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(place)


def laid_out(tree: Any, shardings: Any) -> Any:
    """Bring arrays and keys, the same in every process, to the devices of all.

    Args:
        tree: Arrays on this host or its devices.
        shardings: One for all of them, or one for each.
    """
    if alone():
        return jax.device_put(tree, shardings)
    if not isinstance(shardings, jax.sharding.Sharding):
        return jax.tree.map(laid_out, tree, shardings)

    def one(leaf: jax.Array | np.ndarray) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(one(jax.random.key_data(leaf)))
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(
            whole.shape, shardings, lambda index: whole[index]
        )

    return jax.tree.map(one, tree)


def as_the_writer_says(answer: int) -> int:
    """Give every process process 0's answer: the files may be on its disk alone."""
    if alone():
        return answer
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(answer)))


def from_the_writer(data: bytes) -> bytes:
    """Give every process process 0's bytes, whatever the others have."""
    if alone():
        return data
    count = as_the_writer_says(len(data))
    return _same_length(data if is_writer() else bytes(count)) if count else b""


def _same_length(data: bytes) -> bytes:
    """Process 0's bytes, where all processes have as many."""
    from jax.experimental import multihost_utils

    sent = np.frombuffer(data, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(sent)).tobytes()


def describe() -> dict[str, object]:
    """Describe the devices for a manifest: kind, counts, platform and memory."""
    first = jax.devices()[0]
    memory = (first.memory_stats() or {}) if first.platform != "cpu" else {}
    return {
        "platform": first.platform,
        "kind": first.device_kind,
        "devices": jax.device_count(),
        "local_devices": jax.local_device_count(),
        "processes": jax.process_count(),
        "memory_bytes": memory.get("bytes_limit"),
    }
