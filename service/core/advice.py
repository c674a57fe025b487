"""Owns what a sender is told of a placeholder, of damage by HTML and of white space, in its name for the field."""

from typing import assert_never

from service.core.fields.html_damage import Eaten
from service.core.fields.placeholders import EMPTY_VARIABLES, TEMPLATE_WORDS, Placeholder
from service.core.outcome import Diagnosis, Mistake
from service.core.sender import Field, Sender


def on_placeholder(found: Placeholder, field: Field, name: str, sender: Sender) -> Diagnosis:
    """Return what to change where a placeholder came as `name`."""
    match found.kind:
        case "token" if found.shown in TEMPLATE_WORDS:
            advice = f"Replace {found.shown} by your platform's macro for the {field.replace('_', ' ')}, in {name}."
            return Diagnosis(Mistake.LITERAL_TOKEN, advice)
        case "token":
            advice = f"Put the token of {name} into the braces of the platform that sends: it came as a bare word."
            return Diagnosis(Mistake.LITERAL_TOKEN, advice)
        case "word":
            wanted = f"Send the real {name}" if field in sender.required else f"Leave {name} out where there is none"
            is_empty = found.shown.lower() in EMPTY_VARIABLES
            why = (
                f"{found.shown} is an empty variable of the tracker"
                if is_empty
                else "it came as a word that stands for none"
            )
            return Diagnosis(Mistake.PLACEHOLDER, f"{wanted}: {why}.")
        case "macro":
            advice = f"Use a macro that the platform that sends knows, as it spells it: it did not replace {name}'s."
            return Diagnosis(Mistake.UNREPLACED_MACRO, advice)
        case "half":
            return on_half_a_macro(name)
        case _:
            assert_never(found.kind)


def on_half_a_macro(name: str) -> Diagnosis:
    """Return what to change where a bracket is missing."""
    advice = f"Write the macro of {name} with both of its brackets: one of them is missing."
    return Diagnosis(Mistake.HALF_REPLACED_MACRO, advice)


def on_damage(eaten: Eaten, name: str) -> Diagnosis:
    """Return what to change where HTML made a character of `&name`."""
    advice = f"Copy the URL as text, not out of HTML: there {eaten.meant} in {name} became another character."
    return Diagnosis(Mistake.HTML_ESCAPED, advice)


def on_white_space(name: str) -> Diagnosis:
    """Return what to change where white space stands in or around a text."""
    return Diagnosis(Mistake.WHITESPACE, f"Send {name} without spaces; a literal + is %2B.")
