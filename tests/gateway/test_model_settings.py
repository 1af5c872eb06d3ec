"""What config.toml says of models: the tables `[models."NAME"]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, Settings, load_settings
from protocol.provider.models import fallback


def load(folder: Path, text: str) -> Settings:
    (folder / "config.toml").write_text(text)
    return load_settings({}, {}, folder)


def test_a_model_is_like_another_but_for_what_is_said(tmp_path: Path) -> None:
    """Its name is its own, and so is its life."""
    settings = load(
        tmp_path,
        """
        [models."my-proxy/model:1"]
        like = "claude-opus-4-1"
        display_name = "Mine"
        max_input_tokens = 5_000
        max_tokens = 500
        thinking = ["adaptive", "disabled"]
        efforts = ["low", "max"]
        structures = true
        """,
    )
    (mine,) = settings.models
    assert (mine.id, mine.display_name) == ("my-proxy/model:1", "Mine")
    assert (mine.max_input_tokens, mine.max_tokens) == (5_000, 500)
    assert (mine.thinks, mine.thinking) == (True, ("adaptive", "disabled"))
    assert mine.efforts == mine.quiet_efforts == ("low", "max")
    assert mine.structures
    assert (mine.lifecycle, mine.retires_on, mine.successor) == (None, None, None)
    assert mine.binding == fallback("claude-opus-4-1").binding


def test_without_a_likeness_the_name_tells(tmp_path: Path) -> None:
    """A table may correct one figure alone; a model that cannot think is said so."""
    text = '[models.claude-sonnet-5-5]\nmax_tokens = 9\n[models.b]\nthinking = ["disabled"]'
    plain, sonnet = load(tmp_path, text).models
    assert (sonnet.id, sonnet.max_tokens, sonnet.binding) == ("claude-sonnet-5-5", 9, "checked")
    assert (plain.id, plain.display_name, plain.thinks) == ("b", "b", False)
    assert load(tmp_path, "").models == ()


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("models = 5", 'models is no table: write [models."NAME"].'),
        ("models.a = 5", 'models."a" is no table: write [models."a"].'),
        ('[models."a b"]', "models has the name 'a b': give a model's id."),
        (
            "[models.a]\nmax_token = 5",
            'models."a".max_token is no setting: did you mean max_tokens?',
        ),
        ("[models.a]\nzzz = 5", 'models."a".zzz is no setting: give like, display_name,'),
        (
            "[models.a]\nmax_tokens = 0",
            'models."a".max_tokens has a value that cannot be used: give a whole number from 1 up.',
        ),
        ('[models.a]\nefforts = ["huge"]', "give a list of low, medium, high, xhigh and max."),
        ("[models.a]\nsamples = 1", "give true or false."),
        ("[model.a]", "did you mean models?"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path: Path, text: str, refusal: str) -> None:
    """With its place, and what to give."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert refusal in str(caught.value)
    assert "config.toml" in str(caught.value)
    assert "\n" not in str(caught.value)
