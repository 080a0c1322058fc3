"""Runs pytest suites under Pyodide, where pytest itself cannot await.

pytest collects; fixtures and tests are then carried out here, on the running event loop, with what
the suites of this project use: sync and async tests and fixtures, with or without `yield`;
parameters; skip, skipif and xfail marks. What a test needs and Pyodide does not have (threads,
processes, stack switching in node) makes it a skip with that reason, and the reasons are counted.

    report = await run_suites(["tests"], report_to="junit.xml")
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import shutil
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from _pytest.outcomes import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TEST_TIMEOUT_SECONDS = 240
SLOW_SECONDS = 5
IMPOSSIBLE = [
    ("can't start new thread", "there are no threads"),
    ("does not support processes", "there are no processes"),
    ("has to wait, and Pyodide cannot", "there is no stack switching"),
    ("Config.operation_timeout is", "there are no deadlines"),
]
"""What an error says when a test asked for what Pyodide does not have."""


@dataclass
class Outcome:
    """What became of a test."""

    name: str
    seconds: float
    kind: str = "passed"
    detail: str = ""


@dataclass
class Report:
    """What became of all."""

    outcomes: list[Outcome] = field(default_factory=list)

    def count(self, kind: str) -> int:
        return sum(outcome.kind == kind for outcome in self.outcomes)

    def summary(self) -> str:
        """Counts, the reasons of skips, and what failed."""
        reasons = Counter(o.detail for o in self.outcomes if o.kind == "skipped")
        lines = [f"SKIPPED {count}: {reason}" for reason, count in sorted(reasons.items())]
        for outcome in self.outcomes:
            if outcome.kind == "failed":
                lines += [f"FAILED {outcome.name}", outcome.detail]
        slow = [outcome for outcome in self.outcomes if outcome.seconds > SLOW_SECONDS]
        slow.sort(key=lambda outcome: outcome.seconds, reverse=True)
        lines += [f"SLOW {outcome.name} ({outcome.seconds:.0f} s)" for outcome in slow]
        counts = ", ".join(f"{self.count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
        seconds = sum(outcome.seconds for outcome in self.outcomes)
        return "\n".join([*lines, f"{counts} in {seconds:.1f} s"])

    def junit(self, name: str) -> str:
        """The outcomes in the form that CI systems read."""
        cases = []
        for outcome in self.outcomes:
            file, _, test = outcome.name.partition("::")
            tag = {"failed": "failure", "skipped": "skipped"}.get(outcome.kind)
            inner = f"<{tag} message={quoteattr(outcome.detail[-200:])}>" if tag else ""
            inner += f"{escape(outcome.detail)}</{tag}>" if tag else ""
            cases.append(
                f"<testcase classname={quoteattr(file)} name={quoteattr(test)} "
                f'time="{outcome.seconds:.3f}">{inner}</testcase>'
            )
        head = (
            f'<testsuite name={quoteattr(name)} tests="{len(cases)}" '
            f'failures="{self.count("failed")}" skipped="{self.count("skipped")}">'
        )
        return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *cases, "</testsuite>\n"])


class _Collector:
    """Keeps what pytest collected."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.errors: list[Any] = []

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.errors.append(report)

    def pytest_collection_finish(self, session: Any) -> None:
        self.items = list(session.items)


class _Request:
    """What fixtures of ours ask of `request`."""

    def __init__(self, item: Any, param: object) -> None:
        self.node = item
        self.param = param
        self.config = item.config


class _Fixtures:
    """The fixtures of one test, made when first asked for and ended in reverse order."""

    def __init__(self, item: Any, directory: Path) -> None:
        self._item = item
        self._directory = directory
        self._made: dict[str, Any] = {}
        self._ends: list[Callable[[], Any]] = []

    async def value(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = await self._make(name)
        return self._made[name]

    async def _make(self, name: str) -> Any:
        if name == "tmp_path":
            self._directory.mkdir(parents=True)
            return self._directory
        if name == "request":
            return _Request(self._item, None)
        definitions = self._item._fixtureinfo.name2fixturedefs[name]
        function = definitions[-1].func
        params = self._item.callspec.params if hasattr(self._item, "callspec") else {}
        arguments = {}
        for argument in definitions[-1].argnames:
            if argument == "request":
                arguments[argument] = _Request(self._item, params.get(name))
            else:
                arguments[argument] = await self.value(argument)
        made = function(**arguments)
        if inspect.isasyncgen(made):
            self._ends.append(lambda: _end_async(made))
            return await anext(made)
        if inspect.isgenerator(made):
            self._ends.append(lambda: next(made, None))
            return next(made)
        return await made if inspect.isawaitable(made) else made

    async def end(self) -> None:
        while self._ends:
            done = self._ends.pop()()
            if inspect.isawaitable(done):
                await done


async def _end_async(made: Any) -> None:
    await anext(made, None)


def _condition_to_skip(item: Any) -> str | None:
    for mark in item.iter_markers("skip"):
        return str(mark.kwargs.get("reason") or (mark.args or ["marked"])[0])
    for mark in item.iter_markers("skipif"):
        if any(mark.args):
            return str(mark.kwargs.get("reason", "marked"))
    return None


def _impossible(error: BaseException) -> str | None:
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        for mark, reason in IMPOSSIBLE:
            if mark in text:
                return reason
        seen = seen.__cause__ or seen.__context__
    return None


def _by_hypothesis(function: Any) -> None:
    """Have an async property awaited by switching stacks: hypothesis calls it as a plain one."""
    inner = getattr(function, "hypothesis", None)
    if inner is None or not inspect.iscoroutinefunction(inner.inner_test):
        return
    from pyodide.ffi import can_run_sync, run_sync

    if not can_run_sync():
        raise Skipped("there is no stack switching")
    test = inner.inner_test

    def switching(*args: Any, **kwargs: Any) -> Any:
        return run_sync(test(*args, **kwargs))

    inner.inner_test = switching


async def _carry_out(item: Any, directory: Path) -> None:
    fixtures = _Fixtures(item, directory)
    try:
        for name in item._fixtureinfo.initialnames:
            await fixtures.value(name)
        _by_hypothesis(item.obj)
        arguments = {name: await fixtures.value(name) for name in item._fixtureinfo.argnames}
        result = item.obj(**arguments)
        if inspect.isawaitable(result):
            await asyncio.wait_for(result, TEST_TIMEOUT_SECONDS)
    finally:
        await fixtures.end()


async def _run_one(item: Any, directory: Path) -> Outcome:
    start = time.perf_counter()
    outcome = Outcome(item.nodeid, 0.0)
    expected = next(item.iter_markers("xfail"), None)
    reason = _condition_to_skip(item)
    try:
        if reason is not None:
            raise Skipped(reason)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await _carry_out(item, directory)
    except Skipped as skipped:
        outcome.kind, outcome.detail = "skipped", str(skipped)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - it is what a runner is for
        reason = _impossible(error)
        if reason is not None or expected is not None:
            outcome.kind, outcome.detail = "skipped", reason or "expected to fail"
        else:
            text = "".join(traceback.format_exception(error))
            outcome.kind, outcome.detail = "failed", text[-6000:]
    shutil.rmtree(directory, ignore_errors=True)
    outcome.seconds = time.perf_counter() - start
    return outcome


def collect(arguments: Iterable[str]) -> _Collector:
    """What pytest collects; a file that cannot be imported is an error."""
    collector = _Collector()
    with contextlib.redirect_stdout(sys.stderr):
        pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *arguments], [collector])
    return collector


async def run_suites(
    arguments: Iterable[str],
    *,
    only: Callable[[Any], bool] = lambda _item: True,
    tell: Callable[[str], object] = print,
) -> Report:
    """Collect and run; every test begins on a turn of the event loop of its own.

    Args:
        arguments: As pytest's command line takes them.
        only: Which of the collected tests to run.
        tell: Is given a line about what takes long or fails, as it happens.
    """
    collector = collect(arguments)
    report = Report()
    for error in collector.errors:
        report.outcomes.append(Outcome(error.nodeid, 0.0, "failed", str(error.longrepr)[-3000:]))
    items = [item for item in collector.items if only(item)]
    tell(f"collected {len(items)} tests")
    for index, item in enumerate(items):
        outcome = await _run_one(item, Path(f"/tmp/t{index}"))
        report.outcomes.append(outcome)
        if outcome.kind == "failed" or outcome.seconds > SLOW_SECONDS:
            tell(f"{outcome.kind} {outcome.name} ({outcome.seconds:.1f} s)")
        if index % 50 == 49:
            tell(f"{index + 1} of {len(items)} are done")
        await asyncio.sleep(0)
    return report
