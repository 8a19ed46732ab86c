"""The models of the cloud."""

from tests.cli.harness import NOW, CliHarness

GPT_OSS = {
    "id": "gpt-oss:20b",
    "provider_id": "ollama-cloud/gpt-oss:20b",
    "display": "☁️ 🧠 gpt-oss:20b · 20.9B · 131K ctx",
    "parameters": "20.9B",
    "context_length": 131072,
    "capabilities": ["completion", "tools", "thinking"],
    "thinking": {"values": ["low", "medium", "high"], "default": "medium"},
    "status": "listed",
    "keys": [1, 2, 3, 4],
    "favourite": False,
    "replaced_by": None,
}


def test_models_as_json_in_full(cli: CliHarness) -> None:
    result = cli.run_ok("models", "GPT-oss:20b", "--json")
    assert result.json == {"refreshed_at": "2026-10-08T16:00:00Z", "stale": False, "models": [GPT_OSS]}
    assert result.err == "Refreshing Ollama cloud models…\n"
    assert len(cli.run_ok("models", "--json").json["models"]) == 16


def test_what_the_cloud_keeps_to_itself_is_null(cli: CliHarness) -> None:
    (model,) = cli.run_ok("models", "glm-5.3-flash", "--json").json["models"]
    assert model["parameters"] is None
    assert model["display"] == "☁️ 👁️ 🧠 glm-5.3-flash · 1.05M ctx"


def test_models_for_people(cli: CliHarness) -> None:
    cli.run_ok("disable-key", "2")
    cli.run_ok("models")
    lines = cli.run_ok("models", "gpt-oss").out.splitlines()
    assert lines[0].startswith("☁️ Cloud (2) — active key #1 ")
    assert lines[1:] == [
        "gpt-oss:20b   20.9B   131K  think tools  #1 #3 #4",
        "gpt-oss:120b  116.8B  131K  think tools  #1 #3 #4",
    ]
    assert all(len(line) <= 80 for line in cli.run_ok("models").out.splitlines())
    assert cli.run_ok("models", "nothing-like-it").out == "No model matches.\n"


def test_a_new_list_is_not_read_again_unless_asked(cli: CliHarness) -> None:
    for arguments, reads in ((["models"], 1), (["models"], 1), (["models", "--refresh"], 2)):
        cli.run_ok(*arguments)
        assert len(cli.sent("/api/tags")) == reads
    cli.clock.now = NOW + 1800
    cli.run_ok("models")
    assert len(cli.sent("/api/tags")) == 3


def test_a_failed_refresh_keeps_the_list_and_says_so(cli: CliHarness) -> None:
    cli.run_ok("models")
    cli.fault("unavailable", path="/api/tags")
    result = cli.run_ok("models", "GPT-oss:20b", "--refresh", "--json")
    assert result.json == {"refreshed_at": "2026-10-08T16:00:00Z", "stale": True, "models": [GPT_OSS]}
    assert "models not refreshed: GET /api/tags" in result.err


def test_without_any_list_a_failed_refresh_is_the_result(cli: CliHarness) -> None:
    for verb in ("models", "refresh"):
        cli.fault("unavailable", path="/api/tags")
        result = cli.run(verb)
        assert (result.code, result.out) == (1, "")
        assert "okr-tui: models not refreshed: GET /api/tags" in result.err
        assert result.err.endswith("; no list was read before, try again\n")


def test_refresh(cli: CliHarness) -> None:
    result = cli.run_ok("refresh")
    assert (result.out, result.err) == (
        "Loaded 16 cloud Ollama models\n",
        "Refreshing Ollama cloud models…\n",
    )
    assert cli.run_ok("refresh", "--json").json == {
        "message": "Loaded 16 cloud Ollama models",
        "refreshed_at": "2026-10-08T16:00:00Z",
        "models": 16,
    }


def test_info_as_json_in_full(cli: CliHarness) -> None:
    assert cli.run_ok("info", "ollama-cloud/gpt-oss:20b", "--json").json == {
        **GPT_OSS,
        "family": "gptoss",
        "quantization": "MXFP4",
        "model_info": {
            "general.architecture": "gptoss",
            "general.parameter_count": 20_900_000_000,
            "gptoss.context_length": 131072,
            "gptoss.embedding_length": 0,
        },
    }


def test_info_for_people(cli: CliHarness) -> None:
    assert cli.run_ok("info", "gemma4:31b").out.splitlines() == [
        "☁️ 👁️ 🧠 gemma4:31b · 32.7B · 262K ctx",
        "Source        Ollama Cloud, ollama-cloud/gemma4:31b",
        "Parameters    32.7B",
        "Context       262,144 tokens",
        "Vision        ✅",
        "Thinking      off, on (default)",
        "Family        gemma4",
        "Quantization  BF16",
        "Capabilities  completion, thinking, tools, vision",
        "Keys          all keys",
    ]


def test_info_about_no_model(cli: CliHarness) -> None:
    result = cli.run("info", "gpt-oss:21b")
    assert (result.code, result.out) == (1, "")
    assert "okr-tui: Model not found: gpt-oss:21b; okr-tui models lists the known ones\n" in result.err
    missing = cli.run("info")
    assert missing.code == 2
    assert "Usage: okr-tui info [OPTIONS] MODEL" in missing.err
