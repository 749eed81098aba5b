# SPDX-License-Identifier: Apache-2.0
"""The command line: options are made from the verbs' job models; errors become one line and an exit code.

Nothing heavy is imported here: ``hyoid --help`` reads a table, ``hyoid VERB --help`` imports that verb's job model.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyoid import __version__, cancel, console
from hyoid.errors import Cancelled, HyoidError, OutOfMemoryError, TimeLimitError, UsageError
from hyoid.verbs import SUMMARIES

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from hyoid.report import Report
    from hyoid.verbs.job import JobModel

EPILOG = """exit codes: 0 done, 2 usage, 3 bad input, 4 weights missing or refused, 5 out of memory, 6 cannot write,
7 some frames failed, 8 time limit, 130 cancelled, 1 a bug of ours"""


_LONGEST_LIMIT = 1e9  # seconds; what the timers of all systems take


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> typing.NoReturn:
        raise UsageError(message, hint=f"Type '{self.prog} --help'")


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every failure is told on stderr in one line.

    Args:
        arguments: the words after ``hyoid``.
    """
    # Known before parsing, so that usage errors are told in the same way.
    as_json, debug = "--json" in arguments, "--debug" in arguments
    screen = console.open_console(as_json)
    try:
        with cancel.signals():
            return _run(list(arguments), screen, debug)
    except SystemExit as leave:  # argparse after --help or --version
        return int(leave.code or 0)
    except HyoidError as error:
        if debug:
            raise
        return _fail(screen, error, error.exit_code)
    except KeyboardInterrupt:
        return _fail(screen, HyoidError("cancelled"), Cancelled.exit_code)
    except MemoryError:
        hint = "Close other programs, or cut the work into shorter pieces"
        return _fail(screen, OutOfMemoryError("out of memory", hint=hint), OutOfMemoryError.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`hyoid info x | head`): stop quietly, as other programs do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        hint = f"This is a bug of Hyoid; the details are in {console.write_bug_report(arguments)}"
        return _fail(screen, HyoidError(f"{type(error).__name__}: {error}", hint=hint), 1)
    finally:
        screen.close()


def _fail(screen: console.Console, error: HyoidError, code: int) -> int:
    screen.emit({
        "event": "failure", "exit_code": code, "error": str(error), "path": error.path, "found": error.found,
        "expected": error.expected, "hint": error.hint,
    })  # fmt: skip
    return code


def _run(arguments: list[str], screen: console.Console, debug: bool) -> int:
    from hyoid.report import Report
    from hyoid.verbs.job import environment_defaults

    if not arguments or arguments[0] not in {name.split()[0] for name in SUMMARIES}:
        _top_parser().parse_args(arguments or ["--help"])
    words = 2 if " ".join(arguments[:2]) in SUMMARIES else 1  # `rig fit` is a verb of its own
    verb = " ".join(arguments[:words])
    module = load_verb(verb)
    parser = verb_parser(verb, module.Job)
    options = vars(parser.parse_args(arguments[words:]))
    time_limit = options.pop("time_limit")
    if options.pop("end_with_stdin"):
        cancel.end_with_stdin()
    for name in ("json", "debug"):
        options.pop(name)
    given = {key: value for key, value in options.items() if value is not None}
    job = validate(module.Job, {**environment_defaults(verb, module.Job), **given}, as_options=True)
    if not debug:
        import warnings

        warnings.simplefilter("ignore")  # third-party deprecation notes are not for users
    screen.emit({"event": "start", "verb": verb, "version": __version__, "job": job.model_dump(mode="json")})
    reached: list[float] = []

    def emit(event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            reached[:] = [event["fraction"]]
        screen.emit(event)

    with _time_limit(time_limit), _notes(Report(emit)):
        result = module.run(job, Report(emit))
    if reached and reached[0] < 1:
        Report(emit).progress(1.0, "done")
    screen.show_result(verb, result, getattr(module, "show", None))
    # A verb whose result is a verdict (check, doctor) says with "exit_code" how it ended.
    return int(result.get("exit_code", 0))


@contextlib.contextmanager
def _notes(report: Report) -> Iterator[None]:
    """Show what the library notes while a verb runs as messages of the command, each text once."""
    import logging

    told: set[str] = set()

    def tell(record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in told:
            told.add(text)
            report.message(text, "warning" if record.levelno >= logging.WARNING else "info")

    log, handler = logging.getLogger("hyoid"), logging.Handler(logging.INFO)
    handler.emit = tell
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def load_verb(verb: str) -> Any:
    """The module of a verb.

    Raises:
        UsageError: there is no such verb.
    """
    if verb not in SUMMARIES:
        near = [name for name in SUMMARIES if name.startswith(f"{verb} ")]
        raise UsageError(f"'{verb}' is not a verb", expected=f"one of {', '.join(near or SUMMARIES)}")
    return importlib.import_module(f"hyoid.verbs.{verb.replace(' ', '_')}")


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, SUMMARIES))
    verbs = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in SUMMARIES.items())
    parser = _Parser(
        prog="hyoid",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="hyoid VERB [options]",
        description="Hyoid turns speech, scans and footage into performances on a rigged human, headless.",
        epilog=f"verbs:\n{verbs}\n\nhyoid VERB --help tells a verb's options.\n\n{EPILOG}",
    )
    parser.add_argument("--version", action="version", version=f"hyoid {__version__}")
    parser.add_argument("verb", metavar="VERB", choices=list(SUMMARIES), help=argparse.SUPPRESS)
    return parser


def verb_parser(verb: str, model: type[JobModel]) -> argparse.ArgumentParser:
    """The parser of one verb, one option a field of its job model; values stay text, pydantic converts them."""
    parser = _Parser(
        prog=f"hyoid {verb}",
        description=SUMMARIES[verb][0].upper() + SUMMARIES[verb][1:] + ".",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    own = model.__annotations__  # a verb's own options stand before those that it shares with others
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] not in own):
        _add_option(parser, name, field)
    common = parser.add_argument_group("common")
    common.add_argument("--json", action="store_true", help="one JSON event a line on standard output")
    common.add_argument("--debug", action="store_true", help="show tracebacks and library warnings")
    common.add_argument("--time-limit", type=float, metavar="SECONDS", help="give up after so long (exit code 8)")
    common.add_argument(
        "--end-with-stdin",
        action="store_true",
        help="cancel when standard input closes: the program that asked is gone",
    )
    return parser


def _add_option(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    from hyoid.verbs.job import cli_settings

    settings = cli_settings(field)
    kind, is_list = _value_kind(field.annotation)
    text = (field.description or "").replace("%", "%%")
    extra: dict[str, Any] = {"default": None}
    if not settings.get("positional"):
        extra["dest"] = name  # also where a shorter flag stands before the name
    if typing.get_origin(kind) is typing.Literal:
        choices = [str(value) for value in typing.get_args(kind)]
        extra |= {"choices": choices, "metavar": "{" + ",".join(choices) + "}"}
    if settings.get("positional"):
        extra["nargs"] = ("+" if field.is_required() else "*") if is_list else (None if field.is_required() else "?")
        parser.add_argument(name, **{"metavar": name.upper(), **extra}, help=text)
        return
    flags = [*([settings["short"]] if "short" in settings else []), "--" + name.replace("_", "-")]
    text += _limits_and_default(field)
    if kind is bool:
        parser.add_argument(*flags, dest=name, action=argparse.BooleanOptionalAction, default=None, help=text)
        return
    if typing.get_origin(kind) is dict:
        extra["metavar"] = "NAME=VALUE"
        is_list = True
    else:
        extra.setdefault("metavar", name.upper())
    if is_list:
        extra["action"] = "append"
    parser.add_argument(*flags, required=field.is_required(), help=text, **extra)


def _value_kind(annotation: Any) -> tuple[Any, bool]:
    """The type of one value of a field, and whether the field takes several: ``list[Path] | None`` -> Path, True."""
    arms = [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        arms = [arm for arm in typing.get_args(annotation) if arm is not type(None)]
    if len(arms) == 1 and typing.get_origin(arms[0]) is list:
        return typing.get_args(arms[0])[0], True
    return arms[0], False


def _limits_and_default(field: FieldInfo) -> str:
    limits = [getattr(item, key) for key in ("ge", "le") for item in field.metadata if hasattr(item, key)]
    notes = [f"{limits[0]:.10g} to {limits[1]:.10g}"] if len(limits) == 2 else []
    default = field.default
    if isinstance(default, str | int | float) and not isinstance(default, bool) and default != "":
        notes.append(f"default {default}")
    return f" ({', '.join(notes)})" if notes else ""


def validate(model: type[JobModel], values: dict[str, Any], *, as_options: bool, path: Path | None = None) -> JobModel:
    """A job from raw values.

    Args:
        model: the verb's job model.
        values: field name to value; text is converted, ``["a=1"]`` becomes ``{"a": "1"}`` for mappings.
        as_options: name fields as options (``--fps``) in messages instead of TOML keys.
        path: the job file, for messages.

    Raises:
        UsageError: an unknown field, a missing one, or a value that its field does not take.
    """
    from pydantic import ValidationError

    values = dict(values)
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field and typing.get_origin(_value_kind(field.annotation)[0]) is dict and isinstance(value, list):
            values[name] = _pairs(name, value, path)
        if not _is_text(value):
            shown = f"--{name.replace('_', '-')}" if as_options else name
            raise UsageError(f"{shown} is {value!a}: not text", path=path, expected="UTF-8 without zero bytes")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "job"
        shown = f"--{name.replace('_', '-')}" if as_options else name
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            raise UsageError(f"unknown option '{name}'", path=path, expected=f"one of {known}") from None
        if first["type"] == "missing":
            raise UsageError(f"'{name}' is missing", path=path, expected=_expectation(model, name)) from None
        found = f"{shown} is {first['input']!r}: {first['msg'][0].lower() + first['msg'][1:]}"
        raise UsageError(found, path=path, expected=_expectation(model, name)) from None


def _expectation(model: type[JobModel], name: str) -> str | None:
    field = model.model_fields.get(name.split(".")[0])
    return field.description if field else None


def _is_text(value: Any) -> bool:
    """Whether every text in a value can be written in UTF-8 and be a path: no lone surrogates, no zero bytes."""
    if isinstance(value, dict):
        return all(map(_is_text, [*value, *value.values()]))
    if isinstance(value, list):
        return all(map(_is_text, value))
    return not isinstance(value, str) or not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value)


def _pairs(name: str, items: list[str], path: Path | None) -> dict[str, str]:
    pairs = {}
    for item in items:
        key, equals, value = str(item).partition("=")
        if not (key and equals and value):
            raise UsageError(f"--{name} is '{item}'", path=path, expected="NAME=VALUE")
        pairs[key] = value
    return pairs


@contextlib.contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    if not 0 < seconds < _LONGEST_LIMIT:
        raise UsageError(f"--time-limit is {seconds:g}", expected=f"seconds above 0 and below {_LONGEST_LIMIT:g}")

    def stop(*_: object) -> None:
        raise TimeLimitError(f"the time limit of {seconds:g} s was reached", hint="Raise --time-limit")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
