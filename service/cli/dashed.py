"""Owns click ids that begin with a dash: a command takes `-Abc` for the click id that it is, and not for options."""

from collections.abc import Iterator, Sequence

import typer
from typer.core import TyperCommand


class OfClickId(TyperCommand):
    """A command whose argument is a click id. It has no options of one letter but -h."""

    def parse_args(self, context: typer.Context, words: list[str]) -> list[str]:  # type: ignore[override]  # typer hides the class it passes
        """Parse the words, the click id last if it begins with a dash."""
        flags: set[str] = set(self.get_help_option_names(context))
        valued: set[str] = set()
        for one in self.params:
            (flags if getattr(one, "is_flag", False) else valued).update([*one.opts, *one.secondary_opts])
        dashed = list(_dashed(words, flags | valued, valued))
        for word in dashed:
            if word.startswith("--"):
                raise typer.BadParameter(
                    f"{word} is no option; as a click id: {context.command_path} -- {word}", context
                )
        rest = [word for word in words if word not in dashed]
        behind = [] if "--" in rest else ["--"]
        return super().parse_args(context, [*rest, *behind, *dashed] if dashed else words)


def _dashed(words: Sequence[str], options: set[str], valued: set[str]) -> Iterator[str]:
    """Yield the words that begin with a dash and are neither options nor their values."""
    is_value = False
    for word in words:
        if word == "--":
            return
        if not is_value and word.startswith("-") and word != "-" and word.partition("=")[0] not in options:
            yield word
        is_value = not is_value and word in valued
