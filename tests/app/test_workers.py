"""Work in other processes: an end while it is under way is quiet."""

from __future__ import annotations

import asyncio
import time

import pytest

from ipt_evidence.app.workers import BusyError, FailedError, Workers


def test_ending_the_processes_is_no_failure_of_the_work() -> None:
    async def end_while_at_work() -> None:
        workers = Workers(1)
        work = asyncio.create_task(workers.run(time.sleep, 60))
        while workers._all[0]._process is None:
            await asyncio.sleep(0.01)
        workers.stop()
        with pytest.raises(BusyError):
            await work

    asyncio.run(end_while_at_work())


def test_an_error_in_the_work_is_a_failure() -> None:
    async def fail() -> None:
        workers = Workers(1)
        try:
            with pytest.raises(FailedError, match="could not convert string to float"):
                await workers.run(float, "many")
        finally:
            workers.stop()

    asyncio.run(fail())
