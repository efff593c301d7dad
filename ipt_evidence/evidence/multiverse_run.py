"""Fit the data sets of a multiverse in fixed chunks, each kept on disk when it is done."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr, stdtrit

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.evidence.multiverse_choices import Analysis
from ipt_evidence.pooling.batch import OUTPUTS, BatchMethod, outputs_of
from ipt_evidence.pooling.batch_sums import fit_sums, in_turn, use_compiled
from ipt_evidence.pooling.settings import SOFTWARE

if TYPE_CHECKING:
    from ipt_evidence.evidence.multiverse_data import DataSets

Array = npt.NDArray[np.float64]
CHUNK = 512
NUMBERS = ("k", "estimate", "std_error", "ci_low", "ci_high", "p_value", "tau2", "i2")
COLUMNS = [OUTPUTS.index(name) for name in NUMBERS]
PEESE_LEVEL = 0.05
HEADER = "multiverse.json"


@dataclass(frozen=True, slots=True)
class Job:
    """What a chunk needs beside its data: the analyses, the level, and which code fits."""

    analyses: tuple[Analysis, ...]
    level: float
    compiled: bool


def run(
    data: DataSets,
    job: Job,
    *,
    n_jobs: int,
    client: Any,
    checkpoint: str | os.PathLike[str] | None,
    tick: Callable[[int], None],
) -> Array:
    """Return the numbers of every data set and analysis, shape ``(analyses, len(NUMBERS), sets)``.

    Parameters
    ----------
    data : DataSets
        What to fit.
    job : Job
        How.
    n_jobs : int
        Workers of joblib.
    client : distributed.Client or None
        A cluster to use instead; tasks of a worker that dies are given to another.
    checkpoint : path-like or None
        Folder in which each chunk is kept when it is done; an interrupted job goes on from there.
    tick : callable
        Called with the number of data sets done.

    Raises
    ------
    SchemaError
        The folder holds another job, or a damaged chunk.
    """
    sets = data.effect.shape[0]
    parts = [slice(start, min(start + CHUNK, sets)) for start in range(0, sets, CHUNK)]
    store = None if checkpoint is None else Store.open(Path(checkpoint), fingerprint(data, job))
    result = np.empty((len(job.analyses), len(NUMBERS), sets))
    todo = []
    for number, part in enumerate(parts):
        done = None if store is None else store.load(number, (len(job.analyses), len(NUMBERS), part.stop - part.start))
        if done is None:
            todo.append(number)
        else:
            result[:, :, part] = done
            tick(part.stop - part.start)
    arguments = [(data.effect[parts[n]], data.variance[parts[n]], job) for n in todo]
    for place, numbers in _in_any_order(arguments, n_jobs, client):
        part = parts[todo[place]]
        result[:, :, part] = numbers
        if store is not None:
            store.save(todo[place], numbers)
        tick(part.stop - part.start)
    return result


def _in_any_order(arguments: list[tuple[Array, Array, Job]], n_jobs: int, client: Any) -> Iterator[tuple[int, Array]]:
    """Yield place and result of every chunk, as they are done."""
    if client is None:
        yield from enumerate(in_turn(fit_set, iter(arguments), len(arguments), n_jobs))
        return
    from distributed import as_completed

    futures = {client.submit(fit_set, *given, pure=False, retries=3): place for place, given in enumerate(arguments)}
    for future in as_completed(list(futures)):  # type: ignore[no-untyped-call]
        yield futures[future], future.result()


def fit_set(y: Array, v: Array, job: Job) -> Array:
    """Return the numbers of a chunk of data sets, shape ``(analyses, len(NUMBERS), sets)``.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(sets, trials)``, NaN where a trial is not in a set.
    job : Job
        How.
    """
    out = np.full((len(job.analyses), len(NUMBERS), y.shape[0]), np.nan)
    sums: dict[str, Any] = {}
    for place, analysis in enumerate(job.analyses):
        if analysis.adjustment == "pet_peese":
            out[place] = pet_peese_of(y, v, job.level)
            continue
        method: Any = analysis.tau2_method
        settings = BatchMethod(method, analysis.ci_method, level=job.level)  # type: ignore[arg-type]
        if method not in sums:
            sums[method] = fit_sums(y, v, None, method, compiled=job.compiled)
        numbers = outputs_of(sums[method], settings)
        if analysis.adjustment == "outliers_removed":
            numbers = _without_outliers(y, v, numbers, settings, job.compiled)
        out[place] = numbers[COLUMNS]
    return out


def _without_outliers(y: Array, v: Array, numbers: Array, settings: BatchMethod, compiled: bool) -> Array:
    """Return the fits without the trials whose interval lies wholly outside the pooled one."""
    half = -ndtri(0.5 - settings.level / 2) * np.sqrt(v)
    low, high = (numbers[OUTPUTS.index(name)][:, None] for name in ("ci_low", "ci_high"))
    with np.errstate(invalid="ignore"):
        outside = (y - half > high) | (y + half < low)
    mask = ~outside & ~np.isnan(y)
    changed = outside.any(axis=1)
    if changed.any():
        sums = fit_sums(y[changed], v[changed], mask[changed], settings.tau2_method, compiled=compiled)
        numbers = numbers.copy()
        numbers[:, changed] = outputs_of(sums, settings)
    return numbers


def pet_peese_of(y: Array, v: Array, level: float) -> Array:
    """Return the numbers of PET-PEESE for many data sets, shape ``(len(NUMBERS), sets)``; see :func:`pet_peese`.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(sets, trials)``, NaN where a trial is not in a set.
    level : float
        Level of the interval.
    """
    k = (~np.isnan(y)).sum(axis=1).astype(float)
    weight = np.where(np.isnan(y), 0.0, 1 / np.where(np.isnan(v), 1.0, v))
    effect, error = np.nan_to_num(y), np.sqrt(np.nan_to_num(v))
    with np.errstate(divide="ignore", invalid="ignore"):
        pet, pet_se = _intercept(effect, error, weight, k)
        peese, peese_se = _intercept(effect, error**2, weight, k)
        takes_peese = stdtr(k - 2, -pet / pet_se) < PEESE_LEVEL
        estimate, std_error = np.where(takes_peese, peese, pet), np.where(takes_peese, peese_se, pet_se)
        half = stdtrit(k - 2, 0.5 + level / 2) * std_error
        p = 2 * stdtr(k - 2, -np.abs(estimate / std_error))
    nothing = np.full(k.shape, np.nan)
    numbers = np.stack([k, estimate, std_error, estimate - half, estimate + half, p, nothing, nothing])
    numbers[1:, (k < 3) | ~np.isfinite(std_error)] = np.nan
    return numbers


def _intercept(y: Array, x: Array, weight: Array, k: Array) -> tuple[Array, Array]:
    """Return the intercept of a weighted line in each row, and its standard error."""
    total = weight.sum(axis=1)
    x_mean, y_mean = (np.einsum("bi,bi->b", weight, a) / total for a in (x, y))
    dx, dy = x - x_mean[:, None], y - y_mean[:, None]
    sxx = np.einsum("bi,bi,bi->b", weight, dx, dx)
    slope = np.einsum("bi,bi,bi->b", weight, dx, dy) / sxx
    residual = dy - slope[:, None] * dx
    spread = np.einsum("bi,bi,bi->b", weight, residual, residual) / (k - 2)
    flat = sxx <= total * (1e-10 * x.max(axis=1)) ** 2
    return y_mean - slope * x_mean, np.where(flat, np.nan, np.sqrt(spread * (1 / total + x_mean**2 / sxx)))


def fingerprint(data: DataSets, job: Job) -> str:
    """Return a checksum of everything that determines the result."""
    digest = hashlib.sha256()
    described = {"software": SOFTWARE, "numpy": np.__version__, "chunk": CHUNK, "numbers": NUMBERS}
    described |= {"analyses": [asdict(a) for a in job.analyses], "level": job.level, "compiled": job.compiled}
    digest.update(json.dumps(described, sort_keys=True).encode())
    for array in (data.effect, data.variance):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def engine(sets: int, trials: int) -> bool:
    """Return whether to fit with compiled code: for large jobs, where it is there."""
    return use_compiled("auto", sets * trials * 8)


@dataclass(frozen=True, slots=True)
class Store:
    """A folder with one file per chunk that is done, and a note of which job they belong to."""

    folder: Path

    @classmethod
    def open(cls, folder: Path, mark: str) -> Store:
        """Return the store of a job, made where there is none.

        Raises
        ------
        SchemaError
            The folder holds another job.
        OptionError
            The folder is a file, or holds other things.
        """
        header = folder / HEADER
        if folder.exists() and not folder.is_dir():
            raise OptionError(f"checkpoint must be a folder; {str(folder)!r} is a file")
        if header.exists():
            if _mark_in(header) != mark:
                message = "holds another multiverse (other data, choices, level or software); give another folder"
                raise SchemaError([Problem(message, file=str(folder))], "cannot go on with this checkpoint")
            return cls(folder)
        if folder.exists() and any(not path.name.startswith(f".{HEADER}-") for path in folder.iterdir()):
            raise OptionError(
                f"checkpoint must be an empty folder or one of an earlier run; {str(folder)!r} is neither"
            )
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(header, json.dumps({"fingerprint": mark}).encode())
        return cls(folder)

    def load(self, number: int, shape: tuple[int, ...]) -> Array | None:
        """Return a chunk that is done; ``None`` where it is not, or was damaged."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            found = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        except (ValueError, OSError, EOFError):
            return None
        return found if found.shape == shape and found.dtype == np.float64 else None

    def save(self, number: int, numbers: Array) -> None:
        """Keep a chunk, whole or not at all."""
        buffer = io.BytesIO()
        np.save(buffer, numbers, allow_pickle=False)
        _write_whole(self._path(number), buffer.getvalue())

    def _path(self, number: int) -> Path:
        return self.folder / f"chunk-{number:05d}.npy"


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}-{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _mark_in(header: Path) -> object:
    """Return which job a folder says it belongs to; ``None`` where the note cannot be read."""
    try:
        note = json.loads(header.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return note.get("fingerprint") if isinstance(note, dict) else None
