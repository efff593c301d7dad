"""How soon does the explorer answer when many people use it at once, and does its memory grow?

Starts a server as `ipt-evidence explore` does, opens sessions over real websockets as a browser does (page first, then
Shiny's protocol), and lets every one of them change a choice at a steady pace. An answer is the message with all
regions of the page for the choice; the 60 ms for which a browser gathers changes are not in it. Nine changes of ten are
made on the forest plot (trials ticked in and out at random, so that nobody has asked the same before; another
condition, contrast, estimator or year); the tenth goes to another tab and back. The processor time of the server says
how much it could do on a machine that has nothing else to do.

    python benchmarks/explorer_load.py                        # 50 people, 120 seconds
    python benchmarks/explorer_load.py --people 10 --seconds 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import websockets

PAUSE = 3.0
PATIENCE = 60.0
LIMITS = {"median": 0.5, "p95": 1.5}
CHOICES = {
    "tau2": ["", "DL", "PM", "ML", "EB", "SJ", "HE"],
    "ci": ["", "wald", "hksj", "t"],
    "condition": ["depression", "depression", "depression", "anxiety", "all"],
    "contrast": ["ipt_vs_control", "ipt_vs_control", "ipt_vs_psychotherapy", "ipt_vs_pharmacotherapy"],
    "instruments": ["all", "highest", "lowest"],
    "group": ["", "", "population_group", "comparator"],
    "year_from": ["", *map(str, range(1985, 2012, 3))],
    "outliers": ["none", "none", "outliers", "influential"],
}
OTHER_TABS = ["trials", "subgroups", "compare", "code"]
BUSY = 'aria-busy=\\"true\\"'
TRIALS = re.compile(r'data-tick="([^"]+)"')


@dataclass
class Tally:
    """What was measured."""

    seconds: list[float] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    replaced: int = 0
    errors: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    processor: float = 0.0


class Person:
    """One session and the choices that its user makes."""

    def __init__(self, number: int, url: str, tally: Tally) -> None:
        self.random = random.Random(number)
        self.url, self.tally = url, tally
        self.chosen: dict[str, str] = {}
        self.trials: list[str] = []
        self.out: set[str] = set()
        self.turn = 0

    async def use(self, start: float, end: float) -> None:
        """Open the page, then change a choice at every beat until the end."""
        begin = start + self.random.uniform(0, PAUSE)
        await asyncio.sleep(max(0.0, begin - time.perf_counter()))
        try:
            page = await asyncio.to_thread(lambda: urlopen(self.url, timeout=PATIENCE).read().decode())
            self.trials = TRIALS.findall(page)
            address = self.url.replace("http://", "ws://") + "websocket/"
            async with websockets.connect(address, max_size=None, open_timeout=PATIENCE) as socket:
                await socket.send(json.dumps({"method": "init", "data": {".clientdata_pixelratio": 1}}))
                await self.ask(socket, "")
                beat = begin
                while True:
                    beat = max(beat + PAUSE, time.perf_counter())
                    if beat > end:
                        return
                    await asyncio.sleep(beat - time.perf_counter())
                    await self.ask(socket, self.change())
        except Exception as error:
            self.tally.errors.append(f"{type(error).__name__}: {str(error)[:120]}")

    def change(self) -> str:
        """Return the query after one more choice."""
        query = [(name, value) for name, value in self.chosen.items() if value]
        luck = self.random.random()
        if luck < 0.1:
            return urlencode([*query, *(("out", t) for t in self.out), ("tab", self.random.choice(OTHER_TABS))])
        if luck < 0.6 and self.trials:
            self.out ^= {self.random.choice(self.trials)}
        else:
            name = self.random.choice(list(CHOICES))
            self.chosen[name] = self.random.choice(CHOICES[name])
            if name in ("condition", "contrast"):
                self.out.clear()
        query = [(name, value) for name, value in self.chosen.items() if value]
        return urlencode([*query, *(("out", trial) for trial in sorted(self.out))])

    async def ask(self, socket: websockets.ClientConnection, query: str) -> None:
        """Send a choice and wait for its answer."""
        self.turn += 1
        asked = {"query": query, "turn": self.turn, "form": False}
        mark = f'"turn": {self.turn}, "query"'
        start = time.perf_counter()
        await socket.send(json.dumps({"method": "update", "data": {"query": asked}}))
        while True:
            text = str(await asyncio.wait_for(socket.recv(), PATIENCE))
            if mark in text[:200]:
                break
        self.tally.seconds.append(time.perf_counter() - start)
        self.tally.sent_at.append(start)
        self.tally.sizes.append(len(text))
        if "Something went wrong" in text:
            self.tally.errors.append(f"the page says so: {query[:120]}")
        self.trials = TRIALS.findall(text) or self.trials
        await self.rest(socket, text.count(BUSY), start)

    async def rest(self, socket: websockets.ClientConnection, parts: int, start: float) -> None:
        """Wait for the parts of an answer that workers make, but no longer than until the next change."""
        mark = f'"turn": {self.turn}, "regions": {{"later-'
        try:
            while parts:
                left = start + PAUSE - time.perf_counter()
                if mark in str(await asyncio.wait_for(socket.recv(), max(left, 0)))[:200]:
                    parts -= 1
                    self.tally.later.append(time.perf_counter() - start)
        except TimeoutError:
            self.tally.replaced += parts


def family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = place.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(parts[1]), []).append(int(place.parent.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def megabytes(pid: int) -> float:
    """Return the memory that a process has in use."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


async def watch(pid: int, start: float, tally: Tally) -> None:
    """Write down the memory of the server, and of it with its workers, every second."""
    while True:
        whole = sum(map(megabytes, family(pid)))
        tally.memory.append((time.perf_counter() - start, megabytes(pid), whole))
        await asyncio.sleep(1)


async def measure(url: str, pid: int, people: int, seconds: float) -> Tally:
    """Let people use the explorer, and return what was measured."""
    tally = Tally()
    start = time.perf_counter()
    used = processor_seconds(pid)
    watcher = asyncio.create_task(watch(pid, start, tally))
    await asyncio.gather(*(Person(i, url, tally).use(start, start + seconds) for i in range(people)))
    watcher.cancel()
    tally.processor = processor_seconds(pid) - used
    return tally


def report(tally: Tally, people: int, seconds: float, load: float) -> bool:
    """Print the table; return whether the limits were kept."""
    times = sorted(tally.seconds)
    if len(times) < 2:
        print("no answers:", tally.errors[:5])
        return False
    found = {"median": statistics.median(times), "p95": times[int(0.95 * (len(times) - 1))]}
    print(f"{people} people, {seconds:g} s, a change every {PAUSE:g} s; load average before {load:.1f}")
    print(f"answers      {len(times)}, mean size {statistics.mean(tally.sizes) / 1024:.0f} KiB")
    for name, value in found.items():
        print(f"{name:<12} {value:.3f} s (limit {LIMITS[name]:g})")
    print(f"slowest      {times[-1]:.3f} s")
    if later := sorted(tally.later):
        quantiles = f"median {statistics.median(later):.3f} s, p95 {later[int(0.95 * (len(later) - 1))]:.3f} s"
        print(f"from workers {len(later)} parts (groups, moderators), {quantiles}")
        print(f"             {tally.replaced} did not come before the next change")
    print(f"processor    {1e3 * tally.processor / len(times):.1f} ms per answer")
    print(f"errors       {len(tally.errors)} {'; '.join(sorted(set(tally.errors))[:3])}")
    step = max(1, len(tally.memory) // 8)
    print("memory, MiB  " + "  ".join(f"{t:.0f} s: {own:.0f} ({all_:.0f})" for t, own, all_ in tally.memory[::step]))
    print("             of the server (with its workers)")
    return not tally.errors and all(value <= LIMITS[name] for name, value in found.items())


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    command = [sys.executable, "-m", "ipt_evidence", "explore", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None, "the server did not start"
            tally = asyncio.run(measure(found[0], server.pid, given.people, given.seconds))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    return 0 if report(tally, given.people, given.seconds, load) else 1


if __name__ == "__main__":
    raise SystemExit(main())
