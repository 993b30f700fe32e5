"""Python functions as the library's callbacks: threads, memory, log.

An exception must not pass through C. It is kept for the thread that made the call, which raises it
when the operation has returned.
"""

from __future__ import annotations

import threading
from typing import Any, Callable

from . import _abi

_pending = threading.local()


def keep_error(error: BaseException) -> None:
    if getattr(_pending, "error", None) is None:
        _pending.error = error


def take_error() -> BaseException | None:
    error, _pending.error = getattr(_pending, "error", None), None
    return error


class _Bodies:
    """The bodies of one parallel region: each runs once, whatever the caller's function does."""

    def __init__(self, count: int, body: Any, argument: int):
        self._left = set(range(count))
        self._running = 0
        self._changed = threading.Condition()
        self._body = body
        self._argument = argument

    def __call__(self, index: int) -> None:
        with self._changed:
            if index not in self._left:
                return
            self._left.discard(index)
            self._running += 1
        try:
            self._body(self._argument, index)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def finish(self) -> None:
        """Runs what was left out, and waits for what other threads still run."""
        while self._left:
            for index in list(self._left):
                self(index)
        with self._changed:
            self._changed.wait_for(lambda: not self._running)


def parallel_for(function: Callable[[int, Callable[[int], None]], Any]) -> Any:
    """`function(count, body)` calls body(i) once for each i of range(count), on any threads."""

    def run(_user, count, body, argument):
        bodies = _Bodies(count, _abi.ParallelBody(body), argument)
        try:
            function(count, bodies)
        except BaseException as error:
            keep_error(error)
        while True:
            try:
                return bodies.finish()
            except BaseException as error:  # an interrupt: the bodies must be done all the same
                keep_error(error)

    return _abi.ParallelFor(run)


def allocate(function: Callable[[int, int], int | None]) -> Any:
    def run(_user, size, alignment):
        try:
            return function(size, alignment)
        except BaseException as error:
            keep_error(error)
            return None

    return _abi.Allocate(run)


def release(function: Callable[[int, int], None]) -> Any:
    return _abi.Release(lambda _user, memory, size: function(memory, size))


def log(function: Callable[[int, str], None]) -> Any:
    return _abi.Log(lambda _user, level, text: function(level, text.decode(errors="replace")))
