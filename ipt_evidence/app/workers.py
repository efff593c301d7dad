"""Work that takes long, in other processes: few at a time, with a limit in time, and a short queue."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

SECONDS = 120.0
WAITING = 40
NICE = 10


class BusyError(Exception):
    """Too much work is waiting already."""


class TooSlowError(Exception):
    """The work did not end in time and was stopped."""


class FailedError(Exception):
    """The work ended with an error of its own, which is said on standard error."""


def _serve(pipe: Connection, nice: int) -> None:
    """Do what comes through the pipe until it closes; the life of a worker process."""
    import signal
    import traceback

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(nice)
    while True:
        try:
            function, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, function(*arguments))
        except Exception:
            answer = (False, traceback.format_exc())
        try:
            pipe.send(answer)
        except (BrokenPipeError, OSError):
            return


class _Worker:
    """One process, started when there is first work for it and again after it was stopped."""

    def __init__(self, nice: int) -> None:
        self._nice = nice
        self._process: Any = None
        self._pipe: Any = None
        self._lock = threading.Lock()

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Any:
        """Return what the function returns in the process."""
        with self._lock:
            if self._process is None or not self._process.is_alive():
                self._start()
            try:
                self._pipe.send((function, arguments))
                if not self._pipe.poll(seconds):
                    raise TooSlowError
                fine, value = self._pipe.recv()
            except TooSlowError:
                self.stop()
                raise
            except (EOFError, OSError, BrokenPipeError) as error:
                self.stop()
                raise FailedError("the process ended") from error
        if not fine:
            raise FailedError(value)
        return value

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._nice), daemon=True)
        self._process.start()
        theirs.close()

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                self._pipe.close()
            process.kill()
            process.join(5)


class Workers:
    """A few processes that share a queue.

    Parameters
    ----------
    count : int
        How many processes.
    waiting : int
        How many calls may wait for one.
    seconds : float
        How long one call may take.
    nice : int
        How much the processes stand back behind others.
    """

    def __init__(self, count: int = 2, *, waiting: int = WAITING, seconds: float = SECONDS, nice: int = 0) -> None:
        self._all = [_Worker(nice) for _ in range(count)]
        self._idle = list(self._all)
        self._places = asyncio.Semaphore(count)
        self._asked = 0
        self._limit = count + waiting
        self._stopped = False
        self.seconds = seconds

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function of a module returns, computed in another process.

        Raises
        ------
        BusyError
            Too many calls wait, or the processes were told to end.
        TooSlowError
            It did not end in time.
        FailedError
            It raised an error; the message is its traceback, which is for standard error only.
        """
        if self._asked >= self._limit:
            raise BusyError
        self._asked += 1
        try:
            async with self._places:
                worker = self._idle.pop()
                try:
                    return await asyncio.to_thread(worker.call, function, arguments, self.seconds)
                except FailedError:
                    if self._stopped:
                        raise BusyError from None
                    raise
                finally:
                    self._idle.append(worker)
        finally:
            self._asked -= 1

    def stop(self) -> None:
        """End all processes, also those at work."""
        self._stopped = True
        for worker in self._all:
            worker.stop()
