"""Owns how the fields of a postback are described: by the names of EZmob's, as parameters, in a form and in JSON."""

from collections.abc import Mapping

from service.core.decoding import MAX_PARAMETERS
from service.core.fields import html_damage
from service.core.fields.amounts import LONGEST_AMOUNT
from service.core.fields.currencies import CURRENCIES
from service.core.fields.identifiers import (
    CONTROLS,
    MAX_CLICK_ID_BYTES,
    MAX_LABEL_BYTES,
    SHORTENED,
    SPACES_AND_CONTROLS,
)
from service.core.postback import TEST
from service.core.presets import EZMOB
from service.core.sender import Field

Schema = dict[str, object]

_MOST = 999_999_999_999.999_999
_NO_NUL = r"^[^\x00]*$"
_TEXT: Schema = {"type": "string", "pattern": _NO_NUL}
_OTHER: Schema = {"type": "string"}  # what no field is read from need not be decoded
_UNDAMAGED: Schema = {"not": {"pattern": html_damage.PATTERN}}
_UNDAMAGED_ID: Schema = {"not": {"pattern": f"{html_damage.PATTERN}|{SHORTENED}"}}
_BLANKS = r"[\s\u200b\u2060\ufeff]*"  # around a field: no part of it
_LABEL: Schema = {
    "type": "string",
    "maxLength": MAX_LABEL_BYTES,
    "pattern": f"^{_BLANKS}[^{CONTROLS.pattern[1:-1]}]*{_BLANKS}$",
    **_UNDAMAGED,
}
# Beside these amounts are those like 1.25E7, which no schema can bound.
_AMOUNT = rf"^{_BLANKS}[+-]?(0*[0-9]{{1,12}}(\.[0-9]*)?|\.[0-9]+)([eE]-[0-9]{{1,3}})?{_BLANKS}$"
_TEXTS: dict[Field, Schema] = {
    "click_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_CLICK_ID_BYTES,
        "pattern": f"^{_BLANKS}[^{SPACES_AND_CONTROLS.pattern[1:-1]}]+{_BLANKS}$",
        **_UNDAMAGED_ID,
    },
    "value": {"type": "string", "pattern": _AMOUNT, "maxLength": LONGEST_AMOUNT},
    "currency": {"type": "string", "enum": ["", *sorted(CURRENCIES)]},
    "goal": _LABEL,
    "transaction_id": {**_LABEL, **_UNDAMAGED_ID},
    "conversion_status": {**_TEXT, "examples": [*EZMOB.statuses]},
}
_JSON: dict[Field, Schema] = {  # what stands for the same text there; null is "not sent"
    "click_id": {"type": "number"},
    "value": {
        "type": "number",
        "minimum": -_MOST,
        "maximum": _MOST,
        "description": "Its digits are kept as they stand.",
    },
    "currency": {"type": "null"},
    "goal": {"type": ["number", "null"]},
    "transaction_id": {"type": ["number", "null"]},
    "conversion_status": {"type": ["number", "null"]},
}
_NAMES: Mapping[Field, str] = {field: name for name, field in reversed([*EZMOB.fields.items()])}  # the first of each
_ALIASES = {name: field for name, field in EZMOB.fields.items() if _NAMES[field] != name}
_FIELDS = {name: field for name, field in EZMOB.fields.items() if name not in _ALIASES}
_MEANINGS: dict[Field, str] = {
    "click_id": f"The click id as it was received, at most {MAX_CLICK_ID_BYTES} bytes of UTF-8. No unreplaced macro.",
    "value": (
        "The conversion's value, at most 12 digits before the point; an exponent may be positive too. Its text is "
        "kept, and the amount in millionths: exact, or rounded half to even where it has more than six decimals."
    ),
    "currency": "ISO 4217; small letters are read as capital ones. Others where the sender may send them.",
    "goal": f"Part of the key: another goal is another conversion. At most {MAX_LABEL_BYTES} bytes of UTF-8.",
    "transaction_id": f"Part of the key: a new one is a new conversion. At most {MAX_LABEL_BYTES} bytes of UTF-8.",
    "conversion_status": "What became of the conversion; small and capital letters are the same. Another word than "
    "these has no meaning: a new conversion is stored without a status.",
}
_EXAMPLES: dict[Field, str] = {"click_id": "6f1c2a", "value": "1.50", "currency": "USD"}
_TEST: Schema = {**_OTHER, "examples": ["1"]}
_TEST_MEANING = "`1`, `true`, `yes` or `on`, also in capitals: a test, which goes the whole way and counts nowhere."
_OTHERS = (
    "Anything else is kept with the conversion; sent more than once, as a list; an array or an object, as JSON text."
)


def component(name: str) -> Schema:
    """Refer to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def texts() -> Schema:
    """Return what each field is as text."""
    return {field: {**schema, "description": _meaning(field), **_examples(field)} for field, schema in _TEXTS.items()}


def _meaning(field: Field) -> str:
    others = " or ".join(f"`{name}`" for name, aliased in _ALIASES.items() if aliased == field)
    return f"{_MEANINGS[field]} {others} counts where this one is empty." if others else _MEANINGS[field]


def _examples(field: Field) -> Schema:
    return {"examples": [_EXAMPLES[field]]} if field in _EXAMPLES else {}


def query_parameters() -> list[Schema]:
    """Return the parameters of a postback that comes as a query."""
    fields: list[Schema] = [
        {"name": name, "in": "query", "required": field in EZMOB.required, "schema": component(field)}
        for name, field in _FIELDS.items()
    ]
    test: Schema = {"name": TEST, "in": "query", "description": _TEST_MEANING, "schema": _TEST}
    return [*fields, test, _other_parameters()]


def form() -> Schema:
    """Return a postback as a form, and as a row of CSV: every member is text."""
    members = {name: component(field) for name, field in _FIELDS.items()}
    test: Schema = {**_TEST, "description": _TEST_MEANING}
    return {**_object({**members, TEST: test}, _OTHER), "maxProperties": MAX_PARAMETERS}


def json_object() -> Schema:
    """Return a postback as a JSON object. A null is not sent, and so none of the members that are counted."""
    members = {name: {"anyOf": [component(field), _JSON[field]]} for name, field in _FIELDS.items()}
    test: Schema = {"description": _TEST_MEANING}
    return {
        **_object({**members, TEST: test}, {}),
        "description": f"At most {MAX_PARAMETERS} members beside those that are null: null is not sent.",
    }


def _object(members: Schema, others: Schema) -> Schema:
    return {
        "type": "object",
        "required": [name for name, field in _FIELDS.items() if field in EZMOB.required],
        "properties": members,
        "additionalProperties": others,
        "examples": [{name: _EXAMPLES[field] for name, field in _FIELDS.items() if field in _EXAMPLES}],
    }


def _other_parameters() -> Schema:
    return {
        "name": "params",
        "in": "query",
        "style": "form",
        "explode": True,
        "description": f"{_OTHERS} At most {MAX_PARAMETERS} parameters in all.",
        "schema": {
            "type": "object",
            "maxProperties": MAX_PARAMETERS - len(_FIELDS) - 1,
            "propertyNames": {"not": {"enum": [*EZMOB.fields, TEST]}},
            "additionalProperties": _OTHER,
        },
    }
