"""The process that joins an upload's parts is killed in the midst of it: no half file is seen, and the call may come again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.db import Database
from core.files import FileStore
from core.projects import ensure_default_project
from core.schema import migrate
from core.settings import DEFAULT_PROJECT
from core.storage.build import open_store
from core.upload_types import NewUpload
from core.uploads import UploadStore

ROOT = Path(__file__).resolve().parents[2]
COMPLETES = """
import sys, time
from pathlib import Path
from core.db import Database
from core.settings import DEFAULT_PROJECT
from core.storage.local import LocalObjectStore
from core.uploads import UploadStore

class SlowStore(LocalObjectStore):
    def put(self, key, chunks, *, max_bytes=None):
        def slowly():
            for chunk in chunks:
                yield chunk
                print("half", flush=True)
                time.sleep(600)
        return super().put(key, slowly(), max_bytes=max_bytes)

url, directory, upload_id, *parts = sys.argv[1:]
UploadStore(Database(url), SlowStore(Path(directory)), DEFAULT_PROJECT, 1000).complete(upload_id, parts)
"""


def test_a_killed_completion_leaves_the_upload_as_it_was(tmp_path: Path) -> None:
    url, directory = f"sqlite:///{tmp_path / 'touchstone.db'}", tmp_path / "objects"
    migrate(url)
    database = Database(url)
    ensure_default_project(database)
    objects = open_store(directory.as_uri())
    uploads = UploadStore(database, objects, DEFAULT_PROJECT, 1000)
    files = FileStore(database, objects, DEFAULT_PROJECT, 1000)
    upload = uploads.create(NewUpload("a.bin", "user_data", 4, "x/y"))
    parts = [uploads.add_part(upload.id, uploads.receive(upload.id, [part])).id for part in (b"aa", b"bb")]

    command = [sys.executable, "-c", COMPLETES, url, str(directory), upload.id, *parts]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()

    assert files.list().data == ()
    open_store(directory.as_uri())  # what the next start of a process does
    assert sorted(path.read_bytes() for path in directory.rglob("*") if path.is_file()) == [b"aa", b"bb"]
    file = uploads.complete(upload.id, parts).file
    assert file is not None
    assert b"".join(files.chunks(file.id)) == b"aabb"
    database.dispose()
