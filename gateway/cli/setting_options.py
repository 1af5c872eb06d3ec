"""Every setting as a flag of a command, made of the one definition in `gateway.settings`."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem
from click.types import OptionHelpExtra

from gateway.settings import SETTINGS, Setting


class SettingOption(click.Option):
    """The flag of one setting. Its value is judged with all others, in `gateway.config`.

    The variable is read there too, which can then say where each value is from.
    """

    def __init__(self, setting: Setting) -> None:
        self.section = setting.section
        self._setting = setting
        no = f"/--no-{setting.flag.removeprefix('--')}" if setting.is_switch else ""
        super().__init__(
            [f"{setting.flag}{no}", setting.name],
            default=None,
            multiple=setting.is_tuple,
            callback=_joined if setting.is_tuple else None,
            type=click.Path(readable=False) if setting.placeholder == "PATH" else None,
            metavar=_metavar(setting),
            help=setting.description,
        )

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:  # noqa: ARG002
        """The variable and the default."""
        setting = self._setting
        return {"envvars": (setting.variable,), "default": setting.default or "not set"}

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The few words of which it takes one, if there are such."""
        words = [word for word in self._setting.words if word.startswith(incomplete)]
        return [CompletionItem(word) for word in words] or super().shell_complete(ctx, incomplete)


class SettingsCommand(click.Command):
    """A command whose help has a section for each kind of settings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            if record := option.get_help_record(ctx):
                sections.setdefault(getattr(option, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def setting_options(command: click.Command) -> click.Command:
    """Give a command a flag for each setting; those that are not given are `None`."""
    command.params.extend(map(SettingOption, SETTINGS.values()))
    return command


def _joined(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> str | None:  # noqa: ARG001
    """A flag of several values may be repeated, or have them with commas as the variable does."""
    return ",".join(values) or None


def _metavar(setting: Setting) -> str | None:
    if setting.words:
        return f"[{'|'.join(setting.words)}]"
    return setting.placeholder or None
