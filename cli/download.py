"""`rft download`: a checkpoint's weights as a directory."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, cast
from urllib.parse import quote

import httpx2 as httpx
import openai
import typer
from openai.types.fine_tuning import FineTuningJob
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from cli.client import DEFAULT_BASE_URL, ApiKey, BaseUrl, CommandFailed, message_of, service
from cli.output import errors

_CHECKPOINT_MARK = ":ckpt-step-"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_CHUNK_BYTES = 1 << 20
_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
"""The first byte of a merged model comes when the merge is done."""


class WeightsFormat(StrEnum):
    """What to download."""

    ADAPTER = "adapter"
    MERGED = "merged"


def download(
    name: Annotated[str, typer.Argument(metavar="JOB_OR_MODEL", help="A job's id, or the name of a tuned model or checkpoint.")],
    output: Annotated[Path, typer.Option("--output", "--to", "-o", file_okay=False, help="A directory that is new or empty.")],
    checkpoint: Annotated[str | None, typer.Option(help="`best`, `last` or an id. Default: the tuned model's.")] = None,
    form: Annotated[WeightsFormat, typer.Option("--format", help="A PEFT adapter, or the whole model.")] = WeightsFormat.ADAPTER,
    base_url: BaseUrl = DEFAULT_BASE_URL,
    api_key: ApiKey = "",
) -> None:
    """Download a checkpoint's weights, as plain peft and transformers load them."""
    if output.exists() and any(output.iterdir()):
        raise CommandFailed(f"{output} is not empty.")
    output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with (
        service(base_url, api_key) as client,
        tempfile.TemporaryDirectory(prefix=".download-", dir=output.absolute().parent) as working,
    ):
        job_id, wanted = _find(client, name, checkpoint)
        target = Path(working) / "weights"
        target.mkdir(mode=0o755)
        with _weights(client, job_id, wanted, form) as tar:
            extract(tar, target)
        if output.exists():
            output.rmdir()
        target.rename(output.absolute())
    typer.echo(str(output))


def extract(tar: IO[bytes], directory: Path) -> None:
    """Unpack regular files with plain names, and nothing else. Raises `CommandFailed` at anything else."""
    try:
        with tarfile.open(fileobj=tar, mode="r|", bufsize=_CHUNK_BYTES) as archive:
            for member in archive:
                if not member.isreg() or not _PLAIN_NAME.fullmatch(member.name):
                    raise CommandFailed(f"The archive holds {member.name!r}, which is no plain file: nothing was kept.")
                source = archive.extractfile(member)
                assert source is not None
                with source, (directory / member.name).open("xb") as target:
                    shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except (tarfile.TarError, FileExistsError) as error:
        raise CommandFailed(f"The archive is damaged: {error}") from error


def _find(client: openai.OpenAI, name: str, checkpoint: str | None) -> tuple[str, str]:
    """The job and checkpoint that the arguments mean: by default the checkpoint behind the tuned model."""
    if name.startswith("ftjob-"):
        job = client.fine_tuning.jobs.retrieve(name)
        return job.id, checkpoint or _final(job)
    for job in client.fine_tuning.jobs.list(limit=100):
        if job.fine_tuned_model == name:
            return job.id, checkpoint or _final(job)
        if _CHECKPOINT_MARK in name:
            for saved in client.fine_tuning.jobs.checkpoints.list(job.id):
                if saved.fine_tuned_model_checkpoint == name:
                    return job.id, checkpoint or saved.id
    raise CommandFailed(f"There is no tuned model or checkpoint `{name}`.")


def _final(job: FineTuningJob) -> str:
    options = (job.model_extra or {}).get("touchstone") or {}
    return str(options.get("final_checkpoint", "best"))


@contextmanager
def _weights(client: openai.OpenAI, job_id: str, checkpoint: str, form: WeightsFormat) -> Iterator[IO[bytes]]:
    """The archive as it arrives: a merged model can be larger than memory, so it is never whole."""
    url = f"{str(client.base_url).rstrip('/')}/fine_tuning/jobs/{job_id}/checkpoints/{quote(checkpoint, safe='')}/weights"
    try:
        with (
            httpx.Client(headers=client.auth_headers, timeout=_TIMEOUT) as http,
            http.stream("GET", url, params={"format": form.value}) as response,
            _progress() as progress,
        ):
            if response.is_error:
                raise CommandFailed(_refusal(response))
            size = response.headers.get("content-length")
            task = progress.add_task(form.value, total=int(size) if size else None)
            yield cast(IO[bytes], _Body(response.iter_raw(_CHUNK_BYTES), lambda count: progress.advance(task, count)))
    except httpx.HTTPError as error:
        raise CommandFailed(f"The download broke off: {error}") from error


class _Body:
    """The file-like face of a response's body, as far as tarfile reads it."""

    def __init__(self, chunks: Iterator[bytes], advance: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._advance = advance
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and (chunk := next(self._chunks, b"")):
            self._buffer += chunk
            self._advance(len(chunk))
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _progress() -> Progress:
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True)


def _refusal(response: httpx.Response) -> str:
    response.read()
    try:
        return message_of(response.json()) or response.reason_phrase
    except ValueError:
        return f"The service answered with status {response.status_code}."
