"""Feeds: what hands batches to the steps of a training, and runs the steps.

A feed runs any number of steps from wherever the state stands. `Resident` has all images
on the device, `Making` makes them there as they are needed, `Streamed` takes them from an
iterator. All spread a batch over the devices of a mesh, and the numbers that come out do
not depend on how many there are, up to the order of sums.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Int

from jaxbias.arrays import Array, Key, RandomKey
from jaxbias.data.archives import ImageSet
from jaxbias.devices import laid_out
from jaxbias.training import steps
from jaxbias.training.steps import Task, TrainState

IMAGES, SEEDS = "images", "seeds"
"""Names of mesh axes: one over which a batch is spread, and one over which seeds are."""

SeedAxis = Literal["none", "vmap", "devices"]
"""none: a state has no axis of seeds; vmap: seeds are trained at once on each device;
devices: each device trains its share of them one after the other."""

STEPS_IN_PROGRAM = 50
"""Most steps of one program: between two, a run can be saved and stopped."""

PROGRAMS = 16
"""Trainings whose programs are kept for others that are equal but for the images."""

AHEAD = 2
"""Batches that are sent to the device before their turn."""

Metrics = dict[str, Array]

Index = Int[Array, " image"]
"""Numbers of images."""

Draw = Callable[[Any, Index], tuple[steps.Pixels, steps.Labels]]
"""From a tree of arrays and numbers of images to their pixels and labels."""

Keys = Key[Array, "*seed"]
"""The key of a training, or one for each of its seeds."""


@runtime_checkable
class Feed(Protocol):
    """What a training loop asks for."""

    def advance(
        self, state: TrainState, first: int, count: int
    ) -> tuple[TrainState, Metrics]:
        """Run `count` steps; the state that is given is used up.

        Args:
            state: Before.
            first: Its step; given so that nobody waits for the device to say it.
            count: At most what `most` allows.

        Returns:
            The state after, and each metric with an entry a step (after those of seeds).
        """
        ...

    def most(self, step: int) -> int:
        """How many steps can be run at once from this one."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class _Numbered:
    """Steps on images that are known by their numbers, with nothing from the host."""

    def __init__(
        self,
        task: Task,
        picked: Callable[..., steps.Pick],
        data: tuple[Any, ...],
        key: Keys,
        *,
        count: int,
        batch: int,
        mesh: Mesh,
        layout: Any = None,
        seeds: SeedAxis = "none",
        one_program: bool | None = None,
    ) -> None:
        """Compile nothing yet.

        Args:
            task: What is trained.
            picked: From the data to what gives images by their numbers.
            data: On the host; brought to the devices, whole to each.
            key: Of the training; with an axis of seeds, one for each.
            count: Images of an epoch.
            batch: Images of a step.
            mesh: With the axis `IMAGES`, or `SEEDS` where seeds go over devices.
            layout: Of the state over the mesh, from `laid`; None leaves it to XLA.
            seeds: How seeds are trained together.
            one_program: Whether consecutive steps are one program. None decides by the
                backend: on a CPU each step is called by itself, as XLA runs convolutions
                there 25 times slower inside a loop (jax 0.10).

        Raises:
            ValueError: If there are fewer images than a batch takes.
        """
        if count < batch:
            raise ValueError(f"{count} images do not fill a batch of {batch}")
        if one_program is None:
            one_program = jax.default_backend() != "cpu"
        self._epoch_steps = count // batch
        self._one_program = one_program
        self._data = laid_out(data, NamedSharding(mesh, P()))
        self._key = key
        leaves, shape = jax.tree.flatten(layout)
        self._run = _program(
            task,
            picked,
            one_program=one_program,
            parts=len(data),
            mesh=mesh,
            seeds=seeds,
            layout=(tuple(leaves), shape),
        )
        self._place = _placing(count, batch, seeds, mesh)
        self._order: tuple[int, Any] = (-1, None)

    def most(self, step: int) -> int:
        """Steps to the end of the epoch, in pieces."""
        if not self._one_program:
            return 1
        return min(self._epoch_steps - step % self._epoch_steps, STEPS_IN_PROGRAM)

    def advance(
        self, state: TrainState, first: int, count: int
    ) -> tuple[TrainState, Metrics]:
        """See `Feed`."""
        epoch, number = divmod(first, self._epoch_steps)
        if self._order[0] != epoch:
            self._order = epoch, self._place(self._fresh(), np.int32(epoch))
        chosen = _rows(self._order[1], np.int32(number))
        state, metrics = self._run(
            *(state, self._fresh(), chosen, np.int32(epoch), np.int32(count)),
            *self._data,
        )
        return state, {name: values[..., :count] for name, values in metrics.items()}

    def close(self) -> None:
        """Nothing is open."""

    def _fresh(self) -> Keys:
        """The key of the training, which every step uses by folding its number in."""
        return jax.random.clone(self._key)


@lru_cache(maxsize=PROGRAMS)
def _program(
    task: Task,
    picked: Callable[..., steps.Pick],
    *,
    one_program: bool,
    parts: int,
    mesh: Mesh,
    seeds: SeedAxis,
    layout: tuple[tuple[Any, ...], Any],
) -> Callable:
    """Consecutive steps, or one step: trainings of any length share it.

    Args:
        task: See `_Numbered`, as for the others.
        picked: Of these, the same object for what is to be shared.
        one_program: Whether consecutive steps are one program.
        parts: How many trees of arrays the data are.
        mesh: Over which they are spread.
        seeds: How seeds are trained together.
        layout: Of the state, its leaves and their tree.

    Returns:
        A function of a state, a key, rows of numbers, their epoch, how many of them are
        used, and the data.
    """
    lay = _spread(mesh) if seeds != "devices" else lambda given: given
    results = jax.tree.unflatten(layout[1], layout[0]), NamedSharding(mesh, P())

    def run(
        state: TrainState,
        key: RandomKey,
        chosen: Array,
        epoch: Array,
        count: Array,
        *data: Any,
    ) -> Any:
        pick = picked(*data)
        if one_program:
            given = pick, key, chosen, epoch, count
            return steps.consecutive(task, state, *given, spread=lay)
        given = pick, key, chosen[0], epoch
        state, metrics = steps.numbered(task, state, *given, spread=lay)
        return state, jax.tree.map(lambda value: value[None], metrics)

    shared = tuple(range(3, 5 + parts))
    over = _over_seeds(run, seeds=seeds, mesh=mesh, shared=shared)
    return jax.jit(over, donate_argnums=0, out_shardings=results)


@lru_cache(maxsize=PROGRAMS)
def _placing(count: int, batch: int, seeds: SeedAxis, mesh: Mesh) -> Callable:
    """What says which images each step of an epoch has, from a key and the epoch.

    Rows of nothing follow, so that a program's rows can be cut out anywhere.
    """

    def place(key: RandomKey, epoch: Array) -> Array:
        found = steps.placed(key, epoch, count=count, batch=batch)
        return jnp.pad(found, ((0, STEPS_IN_PROGRAM - 1), (0, 0)))

    return jax.jit(_over_seeds(place, seeds=seeds, mesh=mesh, shared=(1,)))


@jax.jit
def _rows(place: Array, first: Array) -> Array:
    """The rows of a program's steps, from the first on."""
    return lax.dynamic_slice_in_dim(place, first, STEPS_IN_PROGRAM, axis=-2)


class Resident(_Numbered):
    """Steps on images that stay on the device."""

    def __init__(self, task: Task, images: ImageSet, key: Keys, **options: Any) -> None:
        """Bring the images to the devices, whole to each.

        Args:
            task: What is trained.
            images: The training set.
            key: Of the training; with an axis of seeds, one for each.
            options: `batch`, `mesh`, `layout`, `seeds` and `one_program`, as above.

        Raises:
            ValueError: If there are fewer images than a batch takes.
        """
        data = np.asarray(images.images), images.labels.astype(np.int32)
        super().__init__(task, steps.of_set, data, key, count=len(images), **options)


class Selected(_Numbered):
    """Steps on some images of a set that stays on the device.

    Parts of any size share their programs, and the set is brought to the device once.
    """

    def __init__(
        self,
        task: Task,
        pool: tuple[Array, Array],
        numbers: Index | np.ndarray,
        key: Keys,
        *,
        most: int,
        **options: Any,
    ) -> None:
        """Bring the numbers to the devices.

        Args:
            task: What is trained.
            pool: Pixels and labels, whole on each device.
            numbers: Which of them an epoch has; any may be there several times.
            key: Of the training; with an axis of seeds, one for each.
            most: Most numbers of any part that is to share the program.
            options: `batch`, `mesh`, `layout`, `seeds` and `one_program`, as above.

        Raises:
            ValueError: If there are fewer images than a batch takes, or more than `most`.
        """
        if len(numbers) > most:
            raise ValueError(f"{len(numbers)} numbers, but at most {most}")
        filled = np.zeros(most, np.int32)
        filled[: len(numbers)] = numbers
        data = *pool, filled
        super().__init__(task, steps.of_part, data, key, count=len(numbers), **options)


class Making(_Numbered):
    """Steps on images that are made on the device, each device making its own."""

    def __init__(
        self,
        task: Task,
        draw: Draw,
        data: Any,
        key: Keys,
        *,
        mesh: Mesh,
        count: int,
        endless: bool = False,
        seeds: SeedAxis = "none",
        **options: Any,
    ) -> None:
        """Prepare; nothing is made before the first step.

        Args:
            task: What is trained.
            draw: Makes images; pure and traceable.
            data: What it is given first, a tree of arrays.
            key: Of the training; with an axis of seeds, one for each, and an order each.
            mesh: With the axis `IMAGES`, or `SEEDS` where seeds go over devices.
            count: Images of an epoch.
            endless: Let numbers go on from epoch to epoch, so that no image is seen twice;
                otherwise each epoch has the same.
            seeds: How seeds are trained together.
            options: `batch`, `layout` and `one_program`, as above.

        Raises:
            ValueError: If there are fewer images than a batch takes.
        """
        if seeds == "none":
            # Otherwise every device would make all images.
            over = P(IMAGES)
            draw = jax.shard_map(
                draw, mesh=mesh, in_specs=(P(), over), out_specs=over, check_vma=False
            )

        def picked(data: Any) -> steps.Pick:
            return lambda chosen, epoch: draw(
                data, chosen + epoch * count if endless else chosen
            )

        super().__init__(
            *(task, picked, (data,), key),
            mesh=mesh,
            count=count,
            seeds=seeds,
            **options,
        )


class Streamed:
    """Steps on batches from an iterator, which are sent to the devices ahead of time."""

    def __init__(
        self,
        task: Task,
        open_at: Callable[[int], Iterator[tuple[np.ndarray, ...]]],
        key: Keys,
        *,
        epoch_steps: int,
        mesh: Mesh,
        layout: Any = None,
        seeds: SeedAxis = "none",
    ) -> None:
        """Prepare; nothing is read before the first step.

        Args:
            task: What is trained.
            open_at: Gives the batches from a step on: this process's part of the pixels,
                labels and numbers of images of each.
            key: Of the training; with an axis of seeds, one for each.
            epoch_steps: Steps of an epoch.
            mesh: With the axis `IMAGES`, or `SEEDS` where seeds go over devices.
            layout: Of the state over the mesh, from `laid`; None leaves it to XLA.
            seeds: How seeds are trained together; they see the same batches.
        """
        self._open_at, self._key = open_at, key
        axis = P() if seeds == "devices" else P(IMAGES)
        self._sharding = NamedSharding(mesh, axis)
        self._epoch_steps = epoch_steps
        one = partial(steps.following, task)
        over = _over_seeds(one, seeds=seeds, mesh=mesh, shared=(1, 2, 3, 5))
        results = layout, NamedSharding(mesh, P())
        self._one = jax.jit(over, donate_argnums=0, out_shardings=results)
        self._batches: Iterator[tuple[np.ndarray, ...]] | None = None
        self._next = -1
        self._sent: deque[tuple[Array, ...]] = deque()

    def most(self, step: int) -> int:
        """One: a batch is a step."""
        return 1

    def advance(
        self, state: TrainState, first: int, count: int
    ) -> tuple[TrainState, Metrics]:
        """See `Feed`."""
        if self._batches is None or first != self._next:
            self.close()
            self._batches = self._open_at(first)
        self._next = first + count
        found = []
        for number in range(first, self._next):
            while len(self._sent) < AHEAD:
                self._sent.append(self._send(next(self._batches)))
            key = jax.random.clone(self._key)
            epoch = np.int32(number // self._epoch_steps)
            state, metrics = self._one(state, *self._sent.popleft(), key, epoch)
            found.append(metrics)
        return state, _stacked(found)

    def _send(self, batch: tuple[np.ndarray, ...]) -> tuple[Array, ...]:
        pixels, labels, index = batch
        parts = pixels, labels.astype(np.int32), index.astype(np.int32)
        return tuple(
            jax.make_array_from_process_local_data(self._sharding, part)
            for part in parts
        )

    def close(self) -> None:
        """Stop reading ahead."""
        self._sent.clear()
        if (close := getattr(self._batches, "close", None)) is not None:
            close()
        self._batches = None


def laid(state: TrainState, mesh: Mesh, *, seeds: SeedAxis, sharded: bool) -> Any:
    """How a state lies over the devices of a mesh: a sharding for each array.

    Args:
        state: With a leading axis of seeds, unless `seeds` is "none".
        mesh: As the feed has it.
        seeds: How seeds are trained together.
        sharded: Cut every array along its longest axis that the devices divide, so that
            each device keeps its part alone; otherwise each keeps all.
    """

    def one(leaf: Array) -> NamedSharding:
        if seeds == "devices":
            return NamedSharding(mesh, P(SEEDS))
        axes = [i for i, n in enumerate(leaf.shape) if n % mesh.size == 0]
        if not sharded or not axes:
            return NamedSharding(mesh, P())
        longest = max(axes, key=lambda i: leaf.shape[i])
        return NamedSharding(mesh, P(*[None] * longest, IMAGES))

    return jax.tree.map(one, state)


def _spread(mesh: Mesh) -> Callable[[Any], Any]:
    """Lay a batch over the devices of a mesh."""
    sharding = NamedSharding(mesh, P(IMAGES))
    return lambda batch: lax.with_sharding_constraint(batch, sharding)


def _stacked(found: list[Metrics]) -> Metrics:
    """Metrics of single steps along a last axis."""
    return jax.tree.map(lambda *values: jnp.stack(values, -1), *found)


def _over_seeds(
    function: Callable, *, seeds: SeedAxis, mesh: Mesh, shared: tuple[int, ...]
) -> Callable:
    """Lay a function of a state over a leading axis of seeds.

    Args:
        function: Its arguments have the axis, but for those of `shared`.
        seeds: How.
        mesh: For "devices", with the axis `SEEDS`, whose size divides the seeds' number.
        shared: Numbers of arguments that are the same for all seeds.
    """
    if seeds == "none":
        return function

    def mapped(*args: Any, **options: Any) -> Any:
        axes = tuple(None if i in shared else 0 for i in range(len(args)))
        return jax.vmap(partial(function, **options), in_axes=axes)(*args)

    if seeds == "vmap":
        return mapped

    def in_turn(*args: Any, **options: Any) -> Any:
        specs = tuple(P() if i in shared else P(SEEDS) for i in range(len(args)))

        def own(*args: Any) -> Any:
            number = jax.tree.leaves(args[0])[0].shape[0]
            # Unrolled: on a CPU convolutions in a loop are many times slower.
            found = [
                function(*_of_seed(args, shared, i), **options) for i in range(number)
            ]
            return jax.tree.map(lambda *values: jnp.stack(values), *found)

        return jax.shard_map(
            own, mesh=mesh, in_specs=specs, out_specs=P(SEEDS), check_vma=False
        )(*args)

    return in_turn


def _of_seed(args: tuple, shared: tuple[int, ...], number: int) -> list:
    """One seed's part of the arguments of a function of many."""
    return [
        arg if i in shared else jax.tree.map(lambda leaf: leaf[number], arg)
        for i, arg in enumerate(args)
    ]
