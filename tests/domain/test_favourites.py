"""Which models pi's patterns name, and what may be taken out of them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from okr_tui.domain.models import following, is_favourite, names, others, own_entries


@pytest.mark.parametrize(
    ("entry", "model", "named"),
    [
        ("gpt-oss:20b", "gpt-oss:20b", True),
        ("GPT-OSS:20B", "gpt-oss:20b", True),
        ("ollama-cloud/gpt-oss:20b", "gpt-oss:20b", True),
        (" ollama-cloud/gpt-oss:20b ", "gpt-oss:20b", True),
        ("ollama-cloud/gpt-oss:20b:high", "gpt-oss:20b", True),
        ("ollama-cloud/gpt-oss:20b:often", "gpt-oss:20b", False),
        ("anthropic/gpt-oss:20b", "gpt-oss:20b", False),
        ("gpt-oss", "gpt-oss:20b", False),
        ("gpt-*", "gpt-oss:20b", True),
        ("ollama-cloud/*", "gpt-oss:20b", True),
        ("ollama-cloud/*:high", "gpt-oss:20b", True),
        ("ollama-*", "gpt-oss:20b", False),
        ("**", "gpt-oss:20b", True),
        ("*oss*", "gpt-oss:20b", True),
        ("gpt-oss:?0b", "gpt-oss:20b", True),
        ("gpt-oss:[12]0b", "gpt-oss:20b", True),
        ("gpt-oss:[!2]0b", "gpt-oss:20b", False),
        ("gpt-oss:[z-a]0b", "gpt-oss:20b", False),
        ("gpt-oss:[^2]0b", "gpt-oss:20b", False),
        ("gpt-oss[!]", "gpt-oss!", True),
        ("gpt-oss[^]", "gpt-oss^", True),
        ("model[1m]", "model[1m]", True),
        ("anthropic/*", "gpt-oss:20b", False),
        ("", "gpt-oss:20b", False),
    ],
)
def test_an_entry_names_a_model_as_pi_reads_it(entry: str, model: str, named: bool) -> None:
    assert names(entry, model) is named
    assert is_favourite(("other/*", entry), model) is named


def test_only_entries_of_one_model_of_this_provider_are_its_own() -> None:
    entries = ("ollama-cloud/a", "a", "a*", "openai/a", "ollama-cloud/a:high", "Ollama-Cloud/A")
    assert own_entries(entries, "a") == [5, 4, 0]
    assert others(entries, "a") == ["a", "a*"]


def test_favourites_follow_each_other_in_a_ring() -> None:
    assert following(["a", "b"], "a") == "b"
    assert following(["a", "b"], "b") == "a"
    assert following(["a", "b"], "another") == "a"
    assert following(["a", "b"], None) == "a"
    assert following([], "a") is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_the_patterns(entry: str, model: str) -> None:
    names(entry, model)


@example("[:--]")
@example("[a-]")
@given(st.text(alphabet="ab*?[]-!^\\&~|:/", max_size=20))
def test_no_pattern_breaks(entry: str) -> None:
    assert isinstance(names(entry, "a-b"), bool)
