"""Whole files of titles on a cluster of Ray, into a directory of Parquet files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from elmo_helpers.checks import whole_number
from elmo_helpers.encoding.input_rows import InputRows
from elmo_helpers.encoding.run_state import fingerprint
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, whole_directory, write_json
from elmo_helpers.integrations.ray_data import RayEncoder
from elmo_helpers.model.bilm import BiLM

HEADER, FORMAT = "_vectors.json", "elmo_helpers vectors"  # readers of Parquet pass over names that begin with "_"
_ROWS = 2048  # of a block: what is computed again where a worker is lost


def encode_on_ray(
    model: BiLM | str | os.PathLike[str],
    sources: str,
    output: str | os.PathLike[str],
    *,
    address: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> int:
    """Encode all rows of many files into a directory of Parquet files, on a cluster of Ray; say how many rows.

    Columns are `file`, `line` (from 0), which together are a row's key, `title`, and `vector` or `vectors`. Rows of a
    part are in the order of their file; parts are in no order. `sources` and `output` lie where every node sees them.

    Args:
        model: A model, or the directory or name of one. It is read here, and Ray sends it to the nodes.
        sources: A path or pattern, such as titles/*.csv.gz; each file is as for `encode_file`.
        output: A directory, which appears at the end, whole.
        address: Of a running cluster, or "auto"; None: one on this machine, for this call alone. A process that is
            connected already stays so.
        workers: Actors, each with a model and a core or, where the cluster has GPUs, a GPU; None: one for each.
        overwrite: Replace what an earlier call has made there.
        progress: Show Ray's progress bars.
        **options: Those of `RayEncoder`. Whether its device and precision can be had, the workers find out.

    Raises:
        ElmoHelpersError: Ray is missing or cannot be reached, no file is of that name, an option or a row is not as
            expected, or there is an output.
    """
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError:
        raise ElmoHelpersError("Ray is missing: pip install 'elmo_helpers[ray]'.") from None
    files = [Path(name).resolve() for name in sorted(glob.glob(sources))]
    if not files:
        raise ElmoHelpersError(f"{sources}: there is no such file.")
    output = path_of("output", output)
    if output.exists() and not overwrite:
        raise ElmoHelpersError(f"{output} is there already: name another directory, or pass overwrite (--overwrite).")
    for file in files:
        InputRows(file)  # refuses what is no ordinary file
    if workers is not None:
        whole_number("workers", workers, 1)
    # Refuses what is wrong before anything is begun; this machine need not have what the workers have.
    whole = RayEncoder(model, **(options | {"device": "cpu", "precision": "fp32"})).encoder.model
    started = not ray.is_initialized()
    if started:
        _connect(ray, address)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = progress
        resources = ray.cluster_resources()
        on_gpus = resources.get("GPU", 0) >= 1 and options.get("device") != "cpu"
        actors = workers or max(1, int(resources.get("GPU" if on_gpus else "CPU", 1)))
        share = {"num_gpus": 1} if on_gpus else {"num_cpus": 0.9}  # a core but for what the readers need
        with _own_errors():  # an actor that cannot begin would die without saying why; a task says it
            ray.get(ray.remote(**share)(_try).remote(whole, options))
        rows = ray.data.from_items([str(file) for file in files], override_num_blocks=len(files))
        rows = rows.map_batches(_rows_of, batch_size=1, batch_format="pyarrow", num_cpus=0.1)
        rows = rows.map_batches(
            RayEncoder,
            fn_constructor_args=[whole],
            fn_constructor_kwargs=options,
            batch_size=_ROWS,
            batch_format="pyarrow",
            concurrency=(1, actors),
            **share,
        )
        with whole_directory(output, header=HEADER, format_name=FORMAT, is_ours=_is_part) as folder:
            with _own_errors():
                rows.write_parquet(str(folder))
            n_rows = sum(int(pq.read_metadata(part).num_rows) for part in folder.glob("*.parquet"))
            header = {"format": FORMAT, "model": fingerprint(whole), "files": [f.name for f in files]}
            write_json(folder / HEADER, header | {"rows": n_rows})
    finally:
        if started:
            ray.shutdown()
    return n_rows


def _connect(ray: Any, address: str | None) -> None:
    try:
        ray.init(address=address or "local", log_to_driver=False, include_dashboard=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise ElmoHelpersError(f"address={address!r}: no cluster of Ray can be reached there ({why:.200}).") from None


def _rows_of(files: pa.Table) -> Iterator[pa.Table]:
    """The rows of one file, some at a time."""
    for file in files["item"].to_pylist():
        rows = iter(InputRows(Path(file)))
        while some := list(islice(rows, _ROWS)):
            numbers, titles, _ = zip(*some, strict=True)
            yield pa.table({"file": [file] * len(some), "line": numbers, "title": titles})


def _try(model: BiLM, options: dict[str, Any]) -> None:
    """Make in a worker what each actor will hold."""
    RayEncoder(model, **options)


@contextmanager
def _own_errors() -> Iterator[None]:
    """An error of the library that Ray has wrapped in others is the library's own again."""
    try:
        yield
    except Exception as error:  # Ray's, whose classes are private
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ElmoHelpersError):
            cause = cause.__cause__ or getattr(cause, "cause", None)
        if cause is None:
            raise
        raise ElmoHelpersError(str(cause)) from None


def _is_part(name: str) -> bool:
    return name.endswith(".parquet")
