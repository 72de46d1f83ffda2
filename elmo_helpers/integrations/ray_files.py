"""Whole files of titles on a cluster of Ray, into a directory of Parquet files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
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
        address: Of a running cluster, or "auto"; None: one on this machine, for this call alone.
        workers: Actors, each with a model and a core; None: one a core.
        overwrite: Replace what an earlier call has made there.
        progress: Show Ray's progress bars.
        **options: Those of `RayEncoder`.

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
    encoder = RayEncoder(model, **options).encoder  # refuses what is wrong with the options, before anything is begun
    started = not ray.is_initialized()
    if started:
        _connect(ray, address)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = progress
        resources = ray.cluster_resources()
        kind = "GPU" if resources.get("GPU") and encoder.model.device.type == "cuda" else "CPU"
        actors = workers or max(1, int(resources.get(kind, 1)))
        rows = ray.data.from_items([str(file) for file in files], override_num_blocks=len(files))
        rows = rows.map_batches(_rows_of, batch_size=1, batch_format="pyarrow", num_cpus=0.1)
        rows = rows.map_batches(
            RayEncoder,
            fn_constructor_args=[encoder.model.to("cpu")],  # an actor puts it where it computes
            fn_constructor_kwargs=options,
            batch_size=_ROWS,
            batch_format="pyarrow",
            num_cpus=0.9,  # a core for each, but for what the readers need
            num_gpus=1 if kind == "GPU" else None,
            concurrency=(1, actors),
        )
        with whole_directory(output, header=HEADER, format_name=FORMAT, is_ours=_is_part) as folder:
            _write(rows, folder)
            n_rows = sum(int(pq.read_metadata(part).num_rows) for part in folder.glob("*.parquet"))
            header = {"format": FORMAT, "model": fingerprint(encoder.model), "files": [f.name for f in files]}
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


def _write(rows: Any, folder: Path) -> None:
    """Write the Parquet files; an error of the library, which Ray wraps, is the library's own again."""
    try:
        rows.write_parquet(str(folder))
    except Exception as error:  # Ray's, whose classes are private
        cause: BaseException | None = error
        while cause is not None:
            wrapped = getattr(cause, "cause", None)
            for found in (cause, wrapped):
                if isinstance(found, ElmoHelpersError):
                    raise ElmoHelpersError(str(found)) from None
            cause = wrapped if isinstance(wrapped, BaseException) else cause.__cause__
        raise


def _is_part(name: str) -> bool:
    return name.endswith(".parquet")
