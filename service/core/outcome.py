"""Owns the vocabulary of outcomes: what can become of a postback, and everything that depends on that word.

The same word is the response header, the metric label, the log field, the stored row and the docs (laws 2 and 6).
"""

from enum import Enum, StrEnum
from http import HTTPStatus
from typing import NamedTuple, Self


class Family(StrEnum):
    """Whose turn it is next: nobody's, the sender's, or ours."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"


_LEVELS = {Family.ACCEPTED: "info", Family.REJECTED: "warning", Family.FAILED: "error"}


class Outcome(str, Enum):  # noqa: UP042 - StrEnum members cannot carry attributes
    """One word for what became of one postback; its attributes are everything that depends on the word.

    `word` is the word itself (`value` costs a hundredth of a request), `status` the HTTP status, `whole_status` that of
    a batch of all or none that is refused for it, `hint` what the person at the other end should do, `level` the level
    of its log line. `acknowledged`: the sender is told `Success` and stops, since it is stored or no repeat mends it.
    `kept`: the raw input is stored as a rejected_postback.
    """

    word: str
    status: int
    whole_status: int
    hint: str
    level: str
    family: Family
    acknowledged: bool
    our_fault: bool
    retryable: bool
    kept: bool
    __hash__ = str.__hash__  # Enum's own is written in Python, and every postback is counted under its outcome

    def __new__(cls, word: str, status: int, hint: str, level: str = "", family: Family | None = None) -> Self:
        """Derive all others from the status, so that no two can disagree; `family` where the status does not say it."""
        member = str.__new__(cls, word)
        member._value_ = member.word = word
        member.status, member.hint = status, " ".join(hint.split())
        member.our_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        member.acknowledged = status == HTTPStatus.OK
        member.whole_status = HTTPStatus.CONFLICT.value if member.acknowledged else status
        accepted = Family.ACCEPTED if member.acknowledged else Family.REJECTED
        member.family = family or (Family.FAILED if member.our_fault else accepted)
        member.retryable = member.our_fault or status == HTTPStatus.TOO_MANY_REQUESTS
        member.kept = member.family is Family.REJECTED or word == "conflict"
        member.level = level or _LEVELS[member.family]
        return member

    STORED = "stored", 200, "The conversion is stored durably."
    DUPLICATE = "duplicate", 200, "This conversion was stored before; nothing changed. Stop sending it."
    CONFLICT = (
        "conflict",
        200,
        """This key was stored before with another value. The first value stands; this input is kept for a person to
        compare. If it is a new conversion, send it with a transaction id of its own.""",
        "warning",
    )
    UPDATED = (
        "updated",
        200,
        "The conversion's new status is stored durably; its history keeps what was before.",
    )
    SPOOLED = "spooled", 200, "The conversion is durable in the local journal, on its way to the database.", "warning"

    UNKNOWN_PATH = (
        "unknown_path",
        404,
        """Send postbacks to /postback, as GET or POST: by this path and method there is no door. This input is kept; a
        person can replay it.""",
    )
    MISSING_CLICK_ID = (
        "missing_click_id",
        400,
        "Send the click id, under the parameter name that is set up for this sender.",
    )
    INVALID_CLICK_ID = (
        "invalid_click_id",
        400,
        """Send the click id exactly as it was received: at most 512 bytes, no spaces or control characters.
        A literal + must be sent as %2B, or it arrives as a space.""",
    )
    UNEXPANDED_MACRO = (
        "unexpanded_macro",
        400,
        """A macro or a placeholder arrived where a value should be: the tracker must put the real value in its place.
        Check the macro's spelling and brackets.""",
    )
    MISSING_VALUE = (
        "missing_value",
        400,
        "Send what the conversion is worth, under the parameter name that is set up for this sender.",
    )
    INVALID_VALUE = (
        "invalid_value",
        400,
        """Send the amount as a plain number in the format that is set up for this sender: no currency sign, no
        thousands separators, at most 12 digits before the decimals.""",
    )
    INVALID_CURRENCY = (
        "invalid_currency",
        400,
        "Send the currency as an ISO 4217 code such as USD, or have another code allowed for this sender.",
    )
    INVALID_STATUS = (
        "invalid_status",
        400,
        """Send the conversion's status as one of pending, approved, rejected, refunded, or as a word that is set up for
        this sender.""",
    )
    ILLEGAL_TRANSITION = (
        "illegal_transition",
        200,
        """The conversion's status stands: pending becomes approved or rejected, approved becomes rejected or refunded,
        rejected becomes approved if it never was. Stop sending this one; it is kept.""",
        "",
        Family.REJECTED,
    )
    INVALID_ENCODING = (
        "invalid_encoding",
        400,
        "Send text as UTF-8, percent-encode it completely (a literal % is %25), and send no control characters.",
    )
    REPEATED_PARAMETER = "repeated_parameter", 400, "Send each parameter once: it is not guessed which text is meant."
    TOO_MANY_PARAMETERS = "too_many_parameters", 400, "Send at most 256 parameters."
    MALFORMED_BODY = (
        "malformed_body",
        400,
        "Send the body as a form, or as one JSON object whose known members are strings or numbers.",
    )
    UNSUPPORTED_MEDIA_TYPE = (
        "unsupported_media_type",
        415,
        """Send the body as application/x-www-form-urlencoded, application/json or multipart/form-data, in UTF-8, not
        compressed.""",
    )
    TOO_LARGE = (
        "too_large",
        413,
        "Keep the URL within 8 KiB, the body within 64 KiB, each label of the conversion within 255 bytes.",
    )
    UNAUTHENTICATED = (
        "unauthenticated",
        401,
        "Send a valid API key, as the parameter key or as the header Authorization: Bearer.",
    )
    FORBIDDEN = (
        "forbidden",
        403,
        "The sender is known and may not do this: the detail says what, and its operators can change it.",
    )
    RATE_LIMITED = "rate_limited", 429, "Too many postbacks in a short time. Send it again after Retry-After seconds."

    OVERLOADED = (
        "overloaded",
        503,
        "The receiver is busy and stored nothing. Send it again after Retry-After seconds.",
    )
    STORAGE_UNAVAILABLE = (
        "storage_unavailable",
        503,
        """The receiver could not confirm that this postback was stored. Send it again unchanged: a second arrival
        does no harm.""",
    )
    INTERNAL_ERROR = (
        "internal_error",
        500,
        "The receiver failed. Send it again unchanged, and tell its operators the request_id.",
    )


OF_ANYBODY = frozenset(  # what may become of a postback before it is looked into, whoever sent it
    {
        Outcome.UNAUTHENTICATED,
        Outcome.FORBIDDEN,
        Outcome.RATE_LIMITED,
        Outcome.OVERLOADED,
        Outcome.STORAGE_UNAVAILABLE,
        Outcome.INTERNAL_ERROR,
    }
)


class Mistake(StrEnum):
    """One kind of integration mistake; the value is a metric's label."""

    UNREPLACED_MACRO = "unreplaced_macro"
    HALF_REPLACED_MACRO = "half_replaced_macro"
    PLACEHOLDER = "placeholder"
    LITERAL_TOKEN = "literal_token"  # noqa: S105 - no password
    CONVERSION_MACRO = "conversion_macro"
    SWAPPED = "swapped"
    DOUBLE_ENCODED = "double_encoded"
    HTML_ESCAPED = "html_escaped"
    BROKEN_SEPARATOR = "broken_separator"
    DECIMAL_COMMA = "decimal_comma"
    CURRENCY_SIGN = "currency_sign"
    WHITESPACE = "whitespace"
    WRONG_CASE = "wrong_case"
    OTHER_NAME = "other_name"
    UNKNOWN_STATUS = "unknown_status"
    ROUNDED_AMOUNT = "rounded_amount"
    SHORTENED_ID = "shortened_id"
    UNREAD_BODY = "unread_body"
    BROKEN_ENCODING = "broken_encoding"


class Diagnosis(NamedTuple):
    """What was done wrong, and what to change: one sentence for the sender, which repeats nothing of theirs."""

    mistake: Mistake
    advice: str


def explanation(detail: str, diagnosis: Diagnosis | None) -> str:
    """Return what was wrong and what to change, as one text for the log and the kept row."""
    return ". ".join(filter(None, (detail, diagnosis and diagnosis.advice)))


def advice_in(explained: str) -> str:
    """Return what to change out of an explanation that was kept; empty if it says only what was wrong."""
    advice = explained.partition(". ")[2]
    return advice if advice.endswith(".") else ""


class Rejected(Exception):  # noqa: N818 - the word of the field; it is an outcome, not a fault of the program
    """A postback that cannot be accepted, with the outcome and what exactly was wrong.

    `detail` is for the log line and the kept row: it names the parameter and never carries a secret. `retry_after` is
    in seconds, for outcomes that are worth another try. `is_test`: what it showed was a test key that is over.
    """

    def __init__(self, outcome: Outcome, detail: str, retry_after: int = 1, *, is_test: bool = False) -> None:
        super().__init__(outcome, detail)
        self.is_test = is_test
        self.outcome = outcome
        self.detail = detail
        self.retry_after = retry_after
