"""A job's prompts, from the rows of its file."""

from __future__ import annotations

from collections.abc import Sequence

from core.datasets.check import MAX_VALIDATION_ROWS, load_rows
from core.errors import JobFailure
from core.files import FileStore
from worker.policy.chat import ChatTokenizer
from worker.sampling import Prompt


def load_prompts(files: FileStore, file_id: str, max_rows: int, chat: ChatTokenizer, room: int) -> Sequence[Prompt]:
    """The file's prompts in order. Raises `JobFailure` for one of more than `room` tokens."""
    with files.open(file_id) as stream:
        rows = load_rows(stream, max_rows)
    prompts = [Prompt(i, row, chat.prompt(row["messages"], row.get("tools"))) for i, row in enumerate(rows)]
    for prompt in prompts:
        if len(prompt.tokens_T) > room:
            raise JobFailure(
                f"Example {prompt.example + 1} of {file_id} has a prompt of {len(prompt.tokens_T)} tokens; the model's "
                f"context leaves room for {room} beside the completions.",
                code="prompt_too_long",
                param="validation_file" if max_rows == MAX_VALIDATION_ROWS else "training_file",
            )
    return prompts
