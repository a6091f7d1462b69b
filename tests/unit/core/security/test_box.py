from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.security.box import KEY_FILE, SecretBox, SecretUnreadable
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[4]


def test_a_sealed_secret_opens_and_does_not_show():
    box = SecretBox("k" * 32)
    sealed = box.seal("whsec_abc")
    assert "whsec_abc" not in sealed
    assert box.open(sealed) == "whsec_abc"


def test_another_key_does_not_open_it():
    with pytest.raises(SecretUnreadable):
        SecretBox("a" * 32).open(SecretBox("b" * 32).seal("whsec_abc"))


def test_a_changed_secret_does_not_open():
    box = SecretBox("k" * 32)
    with pytest.raises(SecretUnreadable):
        box.open(box.seal("whsec_abc")[:-4] + "AAAA")


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "new")
    sealed = SecretBox.load(settings).seal("x")
    assert SecretBox.load(settings).open(sealed) == "x"
    assert stat.S_IMODE((tmp_path / "new" / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY_FILE]


def test_a_key_of_the_settings_comes_first(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, secrets_key="k" * 32)
    assert SecretBox("k" * 32).open(SecretBox.load(settings).seal("x")) == "x"
    assert not (tmp_path / KEY_FILE).exists()


def test_processes_that_start_together_have_the_same_key(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from core.security.box import SecretBox; from core.settings import Settings\n"
        "sys.stdin.read(); print(SecretBox.load(Settings(data_dir=Path(sys.argv[1]))).seal('x'))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.close()
    sealed = []
    for process in processes:
        with process.stdout:
            sealed.append(process.stdout.read().strip())
        process.wait()
    box = SecretBox.load(Settings(data_dir=tmp_path))
    assert [box.open(text) for text in sealed] == ["x"] * 4


def test_children_do_not_get_the_key_from_the_settings(tmp_path: Path):
    assert "RFT_SECRETS_KEY" not in Settings(data_dir=tmp_path, secrets_key="k" * 32).environment()
