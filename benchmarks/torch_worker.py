"""PyTorch in processes of its own: a process that holds JAX never imports torch.

    with TorchWorker() as worker:
        worker.time_batch("tuned", "tanh", depth=4, resolution=64, n_networks=256)
        worker.measure_given("natural", "tanh", layers, resolution=64)["lz76"]

The children are plain `python -m` processes: multiprocessing's spawn would import the
caller's main module, and JAX with it, into each of them.
"""

import os
import subprocess
import sys
import time
import traceback
from itertools import product
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

FORMS = ("inplace", "onednn", "compiled")


class TorchWorker:
    """One child per core. The tuned kind uses all of them with one thread each, or the
    first with a thread per core, whichever a calibration finds faster; the other kinds
    use the first, with as many threads as torch chooses."""

    def __init__(self):
        self.cores = len(os.sched_getaffinity(0))
        self.children: list[tuple[subprocess.Popen, Connection]] = []
        self.plans: dict[tuple, dict[str, Any]] = {}
        self.warm = set()

    def __enter__(self) -> "TorchWorker":
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        # In torch's favour, unless the caller's environment says otherwise. Waiting
        # OpenMP threads spin for milliseconds: 30 times slower once anything else runs.
        # OpenBLAS threads beside torch's make lstsq 1.7 times slower on the 64 grid
        # (alone, on the 300 grid, they would make it 1.5 times faster).
        environment = {"GOMP_SPINCOUNT": "1000", "OPENBLAS_NUM_THREADS": "1"}
        environment |= os.environ | {"PYTHONPATH": path}
        for _ in range(self.cores):
            ours, theirs = Pipe()
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.torch_worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
            )
            theirs.close()
            self.children.append((process, ours))
        return self

    def __exit__(self, *_) -> None:
        for process, connection in self.children:
            connection.close()  # a waiting child sees the end of the pipe and leaves
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()

    def _ask(self, requests: list[dict]) -> list[dict]:
        """Send one request to each of the first children, and wait for all replies."""
        connections = [connection for _, connection in self.children[: len(requests)]]
        for connection, request in zip(connections, requests, strict=True):
            connection.send(request)
        replies = [connection.recv() for connection in connections]
        for reply in replies:
            if "error" in reply:
                raise RuntimeError(reply["error"])
        return replies

    def _time(self, request: dict, layout: str, n_networks: int) -> dict[str, Any]:
        """Time a batch, spread as `layout` says; warms up whatever is new to it."""
        n = self.cores if layout == "processes" else 1
        threads = dict(processes=1, threads=self.cores).get(layout)

        def ask(total: int) -> list[dict]:
            requests = []
            for child in range(n):
                workload = request["workload"] | dict(n_networks=(total + child) // n)
                seed = request["source"] * self.cores + child
                settings = dict(workload=workload, source=seed, threads=threads)
                requests.append(request | settings)
            return self._ask(requests)

        key = request["kind"], request["form"], layout, str(request["workload"])
        if key not in self.warm:
            ask(2 * n)
            self.warm.add(key)
        start = time.perf_counter()
        replies = ask(n_networks)
        timing = dict(seconds=time.perf_counter() - start, layout=layout)
        clocks = [reply["clock"] for reply in replies]  # {stage: (wall, CPU)}
        wall = {stage: max(clock[stage][0] for clock in clocks) for stage in clocks[0]}
        cpu = {stage: sum(clock[stage][1] for clock in clocks) for stage in clocks[0]}
        return timing | dict(form=request["form"], stages=wall, cpu_stages=cpu)

    def calibrate(self, request: dict) -> dict[str, Any]:
        """Fastest form and layout of the tuned kind, every timing, and what failed."""
        n = self.cores * max(4, 32 * 64**2 // request["workload"]["resolution"] ** 2)
        choices = list(product(FORMS, ("processes", "threads")[: self.cores]))
        timings, failures = dict.fromkeys(choices, float("inf")), {}
        for form, layout in choices * 5:  # in rounds, so that a busy spell hits all
            try:
                run = self._time(request | dict(form=form), layout, n)
            except RuntimeError as error:  # such as no compiler for torch.compile
                failures[form, layout] = str(error).strip().splitlines()[-1]
            else:
                milliseconds = 1e3 * run["seconds"] / n
                timings[form, layout] = min(timings[form, layout], milliseconds)
        form, layout = min(timings, key=lambda choice: timings[choice])
        return dict(form=form, layout=layout, ms=timings, failures=failures)

    def time_batch(
        self, kind, activation, depth, resolution, n_networks, seed=0, **options
    ) -> dict[str, Any]:
        """Draw and measure networks: wall `seconds`, and seconds by stage.

        `options` are `scale` and `lempel_ziv`. `stages` (wall) and `cpu_stages` (all
        threads of all children) leave out the messages. The tuned kind calibrates at
        the first call for a setting; `plans` keeps what it found.
        """
        workload = dict(activation=activation, depth=depth, resolution=resolution)
        request = dict(kind=kind, source=seed, form="", workload=workload | options)
        if kind != "tuned":
            return self._time(request, "default", n_networks)
        setting = activation, depth, resolution
        if setting not in self.plans:
            self.plans[setting] = self.calibrate(request)
        plan = self.plans[setting]
        return self._time(request | dict(form=plan["form"]), plan["layout"], n_networks)

    def measure_given(
        self, kind, activation, layers, resolution, form="", lempel_ziv=True
    ) -> dict[str, Any]:
        """Arrays `fourier`, `chebyshev`, `lz76` over the given networks.

        `layers` holds a pair of NumPy arrays per linear layer: kernels
        [network, fan_in, fan_out] and biases [network, fan_out]. The tuned kind takes
        the form that `time_batch` times, unless told another.
        """
        plan = self.plans.get((activation, len(layers) - 1, resolution), {})
        form = form or plan.get("form", "inplace")
        workload = dict(activation=activation, depth=len(layers) - 1)
        workload |= dict(n_networks=len(layers[0][0]), lempel_ziv=lempel_ziv)
        request = dict(kind=kind, source=layers, form=form, threads=None)
        workload |= dict(resolution=resolution)
        return self._ask([request | dict(workload=workload)])[0]["values"]


def serve(connection: Connection) -> None:
    """Answer requests until the other end closes; an error is an answer too."""
    import torch

    from benchmarks import torch_baselines

    default_threads = torch.get_num_threads()
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            torch.set_num_threads(request.pop("threads") or default_threads)
            workload = torch_baselines.Workload(**request.pop("workload"))
            clock = torch_baselines.Clock()
            values = torch_baselines.run(workload=workload, clock=clock, **request)
            reply = dict(values=values, clock=dict(clock.seconds))
        except Exception:
            reply = dict(error=traceback.format_exc())
        connection.send(reply)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
