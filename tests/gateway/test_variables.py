"""Variables that begin like a setting and are none."""

from pathlib import Path

import pytest

from gateway.config import ConfigError, load_settings, read_configuration
from gateway.variables import MisspeltVariable, notes_on

SERVICE = {
    "AGENTSPACE_SERVICE_HOST": "10.0.0.1",
    "AGENTSPACE_SERVICE_PORT": "3271",
    "AGENTSPACE_SERVICE_PORT_WS": "3271",
    "AGENTSPACE_PORT": "tcp://10.0.0.1:3271",
    "AGENTSPACE_PORT_3271_TCP": "tcp://10.0.0.1:3271",
    "AGENTSPACE_PORT_3271_TCP_PROTO": "tcp",
    "AGENTSPACE_PORT_3271_TCP_PORT": "3271",
    "AGENTSPACE_PORT_3271_TCP_ADDR": "10.0.0.1",
}
"""What Kubernetes tells a pod of a service with the name `agentspace`."""


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("AGENTSPACE_PROT", "AGENTSPACE_PORT"),
        ("AGENTSPACE_port", "AGENTSPACE_PORT"),
        ("AGENTSPACE_DATADIR", "AGENTSPACE_DATA_DIR"),
        ("AGENTSPACE_ALLOWED_ORIGIN", "AGENTSPACE_ALLOWED_ORIGINS"),
        ("AGENTSPACE_CONFIGDIR", "AGENTSPACE_CONFIG_DIR"),
        ("AGENTSPACE_TOKENS", "AGENTSPACE_TOKEN"),
    ],
)
def test_a_slip_is_refused(tmp_path: Path, variable: str, meant: str) -> None:
    """Without effect it could leave a door open; the line names both, never the value."""
    with pytest.raises(ConfigError) as caught:
        load_settings({}, {variable: "a-secret"}, tmp_path)
    assert str(caught.value) == (
        f"{variable} is no setting: did you mean {meant}? Correct it, or remove it."
    )


@pytest.mark.parametrize("name", ["VERSION", "HOME", "THEME", "IMAGE_TAG", "URL", "ENV"])
def test_a_variable_of_somebody_else_is_told_of_and_left_alone(tmp_path: Path, name: str) -> None:
    """Images and platforms have variables of their own: the start goes on."""
    variable = f"AGENTSPACE_{name}"
    configuration = read_configuration({}, {variable: "1.2"}, tmp_path)
    (note,) = configuration.notes
    assert note.startswith(f"{variable} is no setting and has no effect")
    assert configuration.settings == load_settings({}, {}, tmp_path)


def test_what_may_have_been_meant_is_named(tmp_path: Path) -> None:
    """`MODEL` is too far from `DEFAULT_MODEL` to be a slip, and near enough for a hint."""
    (note,) = notes_on({"AGENTSPACE_MODEL": "x"})
    assert note.endswith("did you mean AGENTSPACE_DEFAULT_MODEL?")


def test_a_service_link_is_not_the_port(tmp_path: Path) -> None:
    """The port stays the default, and one line names the variable and the switch."""
    configuration = read_configuration({}, SERVICE, tmp_path)
    assert configuration.settings.port == 3271
    assert "port" not in configuration.sources
    (note,) = configuration.notes
    assert note.startswith("AGENTSPACE_PORT (and 7 more like it) is a container platform's link")
    assert "enableServiceLinks: false" in note


def test_a_service_link_leaves_the_file_in_force(tmp_path: Path) -> None:
    """What config.toml says of the port counts."""
    (tmp_path / "config.toml").write_text("port = 9")
    assert load_settings({}, SERVICE, tmp_path).port == 9


def test_a_service_of_a_longer_name_is_seen_as_well() -> None:
    """`agentspace-gateway` becomes AGENTSPACE_GATEWAY_…"""
    links = {
        name.replace("AGENTSPACE_", "AGENTSPACE_GATEWAY_"): value for name, value in SERVICE.items()
    }
    (note,) = notes_on(links)
    assert note.startswith("AGENTSPACE_GATEWAY_PORT (and 7 more")


def test_a_port_that_is_no_link_is_refused_as_before(tmp_path: Path) -> None:
    """An address of another kind may be what somebody wrote by mistake."""
    with pytest.raises(ConfigError, match="give a whole number"):
        load_settings({}, {"AGENTSPACE_PORT": "http://10.0.0.1:3271"}, tmp_path)


def test_empty_variables_and_those_of_others_are_no_matter() -> None:
    """An empty one counts as absent."""
    assert notes_on({"AGENTSPACE_PROT": "", "OTHER_PROT": "1", "PORT": "2"}) == ()


def test_a_note_is_one_printable_line() -> None:
    """Whatever the variable is called."""
    (note,) = notes_on({"AGENTSPACE_\n\x1b[31mqqqqq": "x"})
    assert note.isprintable()
    with pytest.raises(MisspeltVariable) as caught:
        notes_on({"AGENTSPACE_PORT\n": "x"})
    assert str(caught.value).isprintable()
