"""Models as people and programs name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.models import (
    REPLACED_BY,
    RESOLVED,
    Model,
    ModelNames,
    bare_name,
    replacement,
    short_context,
    short_count,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (20_914_757_184, "20.9B"),
        (756_200_000_000, "756.2B"),
        (31_000_000_000, "31B"),
        (1_000_000_000_000, "1.0T"),
        (2_800_000_000_000, "2.8T"),
        (8_000_000_000, "8.0B"),
        (125_000_000, "125M"),
        (999, "999"),
    ],
)
def test_parameter_count_is_short(count: int, text: str) -> None:
    assert short_count(count) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (131_072, "131K"),
        (262_144, "262K"),
        (1_048_576, "1.05M"),
        (1_000_000, "1M"),
        (2048, "2K"),
        (512, "512"),
    ],
)
def test_context_length_is_short(tokens: int, text: str) -> None:
    assert short_context(tokens) == text


def test_display_line_has_badges_name_size_and_context() -> None:
    model = Model(
        "kimi-k2.6",
        parameters=1_000_000_000_000,
        context_length=262_144,
        capabilities=("completion", "vision", "thinking", "tools"),
    )
    assert model.display == "☁️ 👁️ 🧠 kimi-k2.6 · 1.0T · 262K ctx"
    assert model.provider_id == "ollama-cloud/kimi-k2.6"


def test_what_the_cloud_did_not_say_is_left_out() -> None:
    model = Model("glm-5.3")
    assert model.display == "☁️ glm-5.3"
    assert (model.parameters_text, model.context_text) == (None, None)
    assert not model.can("vision")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", True),
        ("GPT", True),
        ("oss think", True),
        ("tools gpt-oss", True),
        ("vision", False),
        ("oss x", False),
    ],
)
def test_model_is_found_by_all_of_the_words(words: str, found: bool) -> None:
    model = Model("gpt-oss:20b", family="gptoss", capabilities=("tools", "thinking"))
    assert model.matches(words) is found


def test_replacement_is_the_first_living_successor() -> None:
    assert replacement("glm-5.1", frozenset({"glm-5.2"})) == "glm-5.2"
    assert replacement("glm-4.6", frozenset({"glm-5.2"})) == "glm-5.2"
    assert replacement("glm-4.6", frozenset()) is None
    assert replacement("never heard of", frozenset({"glm-5.2"})) is None


@given(st.sampled_from(sorted(REPLACED_BY)), st.frozensets(st.sampled_from(sorted(REPLACED_BY.values()))))
def test_replacement_always_lives_and_is_another_model(model: str, listed: frozenset[str]) -> None:
    found = replacement(model, listed)
    assert found is None or (found in listed and found != model)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-oss:20b",
        "ollama-cloud/gpt-oss:20b",
        "gpt-oss:20b-cloud",
        "ollama-cloud/gpt-oss:20b-cloud",
    ],
)
def test_bare_name_is_the_catalogues(name: str) -> None:
    assert bare_name(name) == "gpt-oss:20b"


def test_bare_name_loses_a_cloud_tag() -> None:
    assert bare_name("glm-5.3:cloud") == "glm-5.3"


LISTED = frozenset({"gpt-oss:20b", "gpt-oss:120b", "kimi-k2:1t", "glm-5.3", "Own", "own"})


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("kimi-k2", "kimi-k2:1t"),
        ("kimi-k2:latest", "kimi-k2:1t"),
        ("ollama/KIMI-K2-cloud", "kimi-k2:1t"),
        ("glm-5.3:latest", "glm-5.3"),
        ("library/glm-5.3:cloud", "glm-5.3"),
        ("gpt-oss", "gpt-oss"),
        ("gpt-oss:latest", "gpt-oss:latest"),
        ("OWN", "OWN"),
        ("Own", "Own"),
        ("kimi-k2:2t", "kimi-k2:2t"),
        ("openai/unknown:1b-cloud", "unknown:1b"),
        ("fast", "gpt-oss:20b"),
        ("", ""),
        ("/", "/"),
    ],
)
def test_a_name_is_resolved_where_only_one_model_can_be_meant(name: str, model: str) -> None:
    assert ModelNames(LISTED, {"fast": "gpt-oss:20b-cloud"}).resolve(name) == model


@pytest.mark.parametrize(
    ("model", "text", "thinks"),
    [
        (Model("m"), "unknown", False),
        (Model("m", capabilities=("thinking",)), "unknown", True),
        (Model("m", capabilities=("tools",)), "no", False),
        (Model("m", thinking=()), "no", False),
        (Model("m", thinking=("off",)), "no", False),
        (
            Model("m", thinking=("off", "low", "high"), thinking_default="low"),
            "off, low (default), high",
            True,
        ),
    ],
)
def test_how_a_model_thinks_is_shown_as_far_as_the_cloud_says(model: Model, text: str, thinks: bool) -> None:
    assert (model.thinking_text, model.thinks) == (text, thinks)


def test_any_number_of_names_is_resolved_and_few_are_remembered() -> None:
    names = ModelNames(frozenset({"gpt-oss:20b"}))
    for number in range(RESOLVED + 1):
        assert names.resolve(f"unknown-{number}") == f"unknown-{number}"
    assert len(names._resolved) == 1
    assert names.resolve("ollama/gpt-oss:20b") == "gpt-oss:20b"
