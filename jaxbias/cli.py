"""The command line: studies, experiments, presets, exit codes.

Exit codes: 0 done; 2 the arguments or the data are not usable; 3 another process is
working on the same `--out`; 130 interrupted; 1 any other failure.
"""

import argparse
import contextlib
import difflib
import hashlib
import importlib
import io
import json
import logging
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NoReturn

from jaxbias.runs import BusyError, RunDirectory, UsageError, environment
from jaxbias.studies import STUDIES, described
from jaxbias.terminal import Reporter

PRESETS = ("smoke", "quick", "paper")

MOST_CPU_DEVICES = 1024
"""More would be a slip of the hand; JAX starts threads for each."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every experiment."""

    preset: Literal["smoke", "quick", "paper"] = "quick"
    """smoke: a minute or two, as a rule; quick: a trustworthy answer on a laptop; paper:
    the published scale, for a GPU."""
    out: Path | None = None
    """Run directory; the same one again resumes. Default: runs/STUDY/EXPERIMENT-HASH,
    the hash being that of the configuration."""
    overwrite: bool = False
    """Start anew where --out holds another run."""
    quiet: bool = False
    """Print nothing but errors."""
    cpu_devices: int | None = None
    """CPU devices to spread networks over; default: one per processor."""
    compile_cache: bool = True
    """Keep compiled programs for the next run, in the user's cache directory."""
    distributed: bool = False
    """Take part in a run over several processes or hosts."""
    coordinator: str | None = None
    """host:port of process 0; needed where no scheduler tells."""
    num_processes: int | None = None
    """Number of processes; needed where no scheduler tells."""
    process_id: int | None = None
    """This process's number, from 0; needed where no scheduler tells."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _defaults(module: ModuleType, argv: Sequence[str]) -> tuple[str, Any]:
    """Find the preset and, from it and what presets also go by, the defaults."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="quick")
    presets = module.PRESETS
    if several := getattr(module, "PRESETS_BY", None):
        parser.add_argument(f"--{several}", default=next(iter(presets)))
    # The full parser reports what is wrong with the rest.
    known, _ = parser.parse_known_args(argv)
    if several:
        chosen = getattr(known, several)
        if chosen not in presets:
            choices = ", ".join(presets)
            raise UsageError(f"--{several}: one of {choices}; got {chosen!r}")
        presets = presets[chosen]
    if known.preset not in PRESETS:
        raise UsageError(f"--preset: one of {', '.join(PRESETS)}; got {known.preset!r}")
    return known.preset, presets[known.preset]


_STYLING = re.compile(r"\x1b\[[0-9;]*m")


def _one_line(framed: str) -> str:
    """The message of tyro's error, without title, frame, colours and advice."""
    # The frame is of ASCII where the terminal's encoding has no other, and coloured
    # where it has colours.
    lines = [line.strip("│╰╯ ") for line in _STYLING.sub("", framed).splitlines()]
    parts = [
        " ".join(" ".join(part).split())
        for is_rule, part in groupby(
            lines[1:], lambda line: set(line) in ({"─"}, {"-"})
        )
        if not is_rule
    ]
    message, *advice = parts or [framed]
    wrong = re.search(r"Unrecognized options: (--[\w-]+)", message)
    known = [
        option
        for part in advice
        if part.startswith("Perhaps you meant")
        for option in re.findall(r"--[\w-]+", part)
    ]
    near = difflib.get_close_matches(wrong.group(1), known, n=1) if wrong else []
    return message + "".join(f" (perhaps {option}?)" for option in near)


def parse(
    module: ModuleType, argv: Sequence[str], program: str
) -> tuple[RunOptions, Any]:
    """Read the options of a run and the configuration of its experiment.

    Raises:
        UsageError: If an option is unknown or its value does not parse.
    """
    import tyro

    preset, config = _defaults(module, argv)

    @dataclass(frozen=True)
    class Arguments:
        run: tyro.conf.OmitArgPrefixes[RunOptions]
        config: tyro.conf.OmitArgPrefixes[module.Config]  # type: ignore[name-defined]

    default = Arguments(RunOptions(preset=preset), config)  # type: ignore[arg-type]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            found = tyro.cli(
                Arguments,
                prog=program,
                description=(module.__doc__ or "").strip(),
                default=default,
                args=list(argv),
                config=(tyro.conf.HelptextFromCommentsOff,),
            )
    except SystemExit as stop:
        if stop.code:
            raise UsageError(_one_line(errors.getvalue())) from None
        raise
    return found.run, found.config


def plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON would give it back, for comparison and for files."""
    return json.loads(json.dumps(asdict(config)))


def default_directory(study: str, experiment: str, config: Any) -> Path:
    """Where a run goes if no `--out` is given: the same place for the same run."""
    text = json.dumps(plain(config), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return Path("runs") / study / f"{experiment}-{digest}"


def _check_options(options: RunOptions) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    count = options.cpu_devices
    if count is not None and not 1 <= count <= MOST_CPU_DEVICES:
        raise UsageError(f"--cpu-devices: must be 1 to {MOST_CPU_DEVICES}, got {count}")
    given = (options.coordinator, options.num_processes, options.process_id)
    if not options.distributed:
        if any(value is not None for value in given):
            raise UsageError(
                "--coordinator, --num-processes and --process-id need --distributed"
            )
        return
    if any(v is None for v in given) and any(v is not None for v in given):
        raise UsageError(
            "--coordinator, --num-processes and --process-id: give all three or none"
        )
    if options.num_processes is not None:
        if options.num_processes < 1:
            raise UsageError(f"--num-processes: >= 1, got {options.num_processes}")
        if not 0 <= (options.process_id or 0) < options.num_processes:
            raise UsageError(
                f"--process-id: 0 to {options.num_processes - 1}, "
                f"got {options.process_id}"
            )


def _start(options: RunOptions) -> None:
    """Start the devices, and join the other processes if there are any."""
    from jaxbias import devices

    cluster = None
    if options.distributed:
        cluster = devices.Cluster(
            coordinator=options.coordinator,
            num_processes=options.num_processes,
            process_id=options.process_id,
        )
    try:
        devices.start(
            cluster,
            cpu_devices=options.cpu_devices,
            compile_cache=(
                devices.default_compile_cache() if options.compile_cache else None
            ),
        )
    except (ValueError, RuntimeError) as error:
        if cluster is None:
            raise
        first = str(error).splitlines()[0]
        raise UsageError(f"--distributed: cannot join the cluster: {first}") from error


def _open(
    study: str, experiment: str, options: RunOptions, config: Any, writer: bool
) -> tuple[RunDirectory, bool]:
    """Open the run directory; also tell whether what it holds is finished.

    Raises:
        UsageError: In every process, if process 0 cannot use the directory.
    """
    try:
        directory = RunDirectory.open(
            options.out or default_directory(study, experiment, config),
            study=study,
            experiment=experiment,
            config=plain(config),
            overwrite=options.overwrite,
            writer=writer,
        )
    except UsageError as error:
        # Otherwise the others would wait for a process 0 that has ended.
        _agreed(options, error.exit_code)
        raise
    state = _agreed(options, int(directory.finished))
    if state > 1:
        kind = BusyError if state == BusyError.exit_code else UsageError
        raise kind(f"{directory.path}: process 0 cannot use it, and says why")
    return directory, state == 1


def _agreed(options: RunOptions, state: int) -> int:
    """Process 0's state, in every process."""
    if not options.distributed:
        return state
    from jaxbias import devices

    return devices.as_the_writer_says(state)


def _execute(
    study: str, experiment: str, module: ModuleType, options: RunOptions, config: Any
) -> None:
    """Run an experiment in its directory, or print the result that is there."""
    # Before the check, as the module of a function that a user names may use devices.
    _start(options)
    module.check(config)
    from jaxbias import devices

    # Asking for the process's number starts the devices: only where there are several.
    writer = devices.is_writer() if options.distributed else True
    reporter = Reporter(quiet=options.quiet or not writer)
    directory, finished = _open(study, experiment, options, config, writer)
    with directory:
        if finished:
            reporter.say(f"{directory.path} is finished; its result:")
            if hasattr(module, "show"):
                module.show(directory, reporter)
        else:
            reporter.say(f"{study} {experiment}, {options.preset}, in {directory.path}")
            directory.update_manifest(preset=options.preset)
            _compute(module, config, directory, reporter)
        if writer:
            if verdicts := directory.read_verdicts():
                reporter.verdicts(verdicts)
            reporter.say(f"table and figures: {directory.path}")


def _compute(
    module: ModuleType, config: Any, directory: RunDirectory, reporter: Reporter
) -> None:
    """Run an experiment and note in the manifest on what, and how long it took."""
    from jaxbias import devices

    compiled = devices.CompileClock()
    began = time.monotonic()
    where = environment() | {"device": devices.describe()}
    directory.update_manifest(environment=where, seed=config.seed)
    module.run(config, directory, reporter)
    seconds = time.monotonic() - began
    directory.finish(
        timings={
            "total_seconds": round(seconds, 3),
            "compile_seconds": round(compiled.seconds, 3),
            "run_seconds": round(seconds - compiled.seconds, 3),
        }
    )
    reporter.say(f"{seconds:.1f} s, of which {compiled.seconds:.1f} s compiling")


def _overview(study: str, program: str) -> str:
    module = described(study)
    width = max(map(len, module.EXPERIMENTS))
    lines = [
        f"usage: {program} [EXPERIMENT] [--preset smoke|quick|paper] [--out DIR] "
        "[--seed N] [options]",
        "",
        module.TITLE,
        "",
        "experiments:",
    ]
    for name, (_, line) in module.EXPERIMENTS.items():
        mark = " (default)" if name == module.DEFAULT else ""
        lines.append(f"  {name:{width}}  {line}{mark}")
    lines += ["", f"{program} EXPERIMENT --help lists an experiment's options."]
    return "\n".join(lines)


def _run_study(study: str, argv: Sequence[str], program: str) -> None:
    module = described(study)
    if argv and argv[0] in ("-h", "--help"):
        print(_overview(study, program))
        return
    experiment = module.DEFAULT
    if argv and not argv[0].startswith("-"):
        experiment, argv = argv[0], argv[1:]
    if experiment not in module.EXPERIMENTS:
        names = ", ".join(module.EXPERIMENTS)
        raise UsageError(f"unknown experiment {experiment!r}: one of {names}")
    chosen = importlib.import_module(module.EXPERIMENTS[experiment][0])
    options, config = parse(chosen, argv, f"{program} {experiment}")
    _check_options(options)
    chosen.check_values(config)
    _execute(study, experiment, chosen, options, config)


def _report(argv: Sequence[str]) -> None:
    parser = _Parser(
        prog="jaxbias report",
        description="Gather runs in one HTML page, a CSV and a Markdown table: those of "
        "one experiment side by side, what is damaged or unfinished by name.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        help="run directories, folders of such at any depth, or records",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--records",
        type=Path,
        metavar="DIR",
        help="keep a small JSON file of each finished run there; reports are made of these "
        "as of runs, without figures",
    )
    parser.add_argument(
        "--readme",
        type=Path,
        metavar="FILE",
        help="put the Markdown table between FILE's lines <!-- results --> and "
        "<!-- /results -->",
    )
    arguments = parser.parse_args(argv)
    from jaxbias import report

    found = report.write(
        arguments.runs,
        arguments.out,
        kept=arguments.records,
        readme=arguments.readme,
    )
    finished = sum(run.finished for run in found)
    for run in found:
        if not run.finished:
            print(f"{run.path}: {run.state}: {run.problem}")
    print(f"{finished} of {len(found)} runs in {arguments.out / 'index.html'}")


def _unraisable(found: Any) -> None:
    """Show an error that nobody can catch, unless it only repeats that of a failed write.

    After one, TensorStore's threads find Orbax's event loop closed, and say so dozens of
    times and in the middle of our own line.
    """
    if str(found.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(found)


def guarded(action: Any) -> int:
    """Call, and turn what goes wrong into one line and an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    # Orbax logs at length, by these two, what it also raises.
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if sys.unraisablehook is sys.__unraisablehook__:  # Not one of pytest's.
        sys.unraisablehook = _unraisable
    try:
        action()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return 1
    except Exception as error:
        # JAX has no type for it: that of a failed compilation is the same.
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(
            error
        ):
            raise
        reason = (str(error) or "out of memory").splitlines()[0]
        print(f"error: {reason}", file=sys.stderr)
        return 1
    return 0


def _end(action: Any) -> NoReturn:
    """Call, and end the process with the exit code."""
    try:
        code = guarded(action)
    except Exception:
        if _among_others():
            from jaxbias import devices

            devices.end_if_another_has()
        traceback.print_exc()
        code = 1
    if _among_others():
        from jaxbias import devices

        if not code:
            code = guarded(devices.done)
        if code:
            # The others wait for this process, and JAX's own exit would wait for them:
            # for long only where they are likely to refuse the same.
            with contextlib.suppress(KeyboardInterrupt):
                devices.leave(3.0 if code in (1, 130) else 10.0)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)


def _among_others() -> bool:
    """Whether this process has joined a run of several."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def run_study(study: str) -> None:
    """Entry point of `python -m experiments.STUDY`."""
    program = f"python -m experiments.{study}"
    _end(lambda: _run_study(study, sys.argv[1:], program))


def _main(argv: Sequence[str]) -> None:
    usage = (
        "usage: jaxbias STUDY [EXPERIMENT] [options] | jaxbias report RUNS --out DIR"
    )
    if not argv or argv[0] in ("-h", "--help"):
        print(usage, "", "studies:", *(f"  {name}" for name in STUDIES), sep="\n")
    elif argv[0] == "report":
        _report(argv[1:])
    elif argv[0] in STUDIES:
        _run_study(argv[0], argv[1:], f"jaxbias {argv[0]}")
    else:
        names = ", ".join(STUDIES)
        raise UsageError(f"unknown study {argv[0]!r}: one of {names}, or report")


def main() -> None:
    """Entry point of the `jaxbias` command."""
    _end(lambda: _main(sys.argv[1:]))
