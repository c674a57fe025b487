"""Owns how answers are described: by outcome, and the refusals that a connection gives without any application."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from service.core.hints import kept_hint
from service.core.outcome import Outcome
from service.core.postback import Door
from service.web.openapi.fields import Schema, component
from service.web.render import PROBLEM_JSON
from service.web.wire.refusals import REFUSALS

TEXT = "text/plain"
REQUEST_ID: Schema = {
    "type": "string",
    "pattern": "^[0-9a-f]{32}$",
    "description": "Ours, unique: the log line and the row have it too.",
}
EVERY: Mapping[str, Schema] = {
    "X-Request-Id": REQUEST_ID,
    "Cache-Control": {"type": "string", "const": "no-store"},
}
RETRY_AFTER: Schema = {"type": "integer", "minimum": 1, "description": "Seconds."}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what it means, the schema of each media type, and its headers; `optional` may be missing."""

    description: str
    content: Mapping[str, Schema]
    headers: Mapping[str, Schema]
    optional: frozenset[str] = frozenset()

    def beside(self, other: "Answer") -> "Answer":
        """Return both as the answer of one status: a header that one of them may lack is optional."""
        alone = self.headers.keys() ^ other.headers.keys()
        return Answer(
            f"{self.description}\n{other.description}",
            {**self.content, **other.content},
            {**other.headers, **self.headers},
            self.optional | other.optional | alone,
        )

    def with_headers(self, more: Mapping[str, Schema]) -> "Answer":
        """Return the answer with headers that it always has."""
        return replace(self, headers={**self.headers, **more})

    def bodiless(self) -> "Answer":
        """Return the answer to HEAD."""
        return replace(self, content={})

    def described(self) -> Schema:
        """Return it as a Response Object."""
        return {
            "description": self.description,
            "headers": {
                name: {"required": name not in self.optional, "schema": schema} for name, schema in self.headers.items()
            },
            "content": {
                media_type: {"schema": schema} if schema else {} for media_type, schema in self.content.items()
            },
        }


Answers = dict[int, Answer]


def answers_by_status(*all_of_them: Answers) -> Schema:
    """Return the Responses Object of an operation."""
    together: Answers = {}
    for answers in all_of_them:
        for status, answer in answers.items():
            together[status] = together[status].beside(answer) if status in together else answer
    return {str(status): together[status].described() for status in sorted(together)}


def outcome_answers(outcomes: Iterable[Outcome], *, whole: bool = False) -> Answers:
    """Return the answers that one postback gets, or a `whole` batch: one for each status that an outcome has."""
    by_status: defaultdict[int, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_status[outcome.whole_status if whole else outcome.status].append(outcome)
    return {status: _answer(status, words, "batch" if whole else "postback") for status, words in by_status.items()}


def _answer(status: int, outcomes: list[Outcome], door: Door) -> Answer:
    success = status == HTTPStatus.OK
    content: Schema = {"type": "string", "const": "Success"} if success else _problem_of(status, outcomes)
    headers = {**EVERY, "X-Postback-Outcome": outcome_word(outcomes), **_more_headers(status)}
    return Answer(hints(outcomes, door), {TEXT if success else PROBLEM_JSON: content}, headers)


def hints(outcomes: Iterable[Outcome], door: Door = "postback") -> str:
    """Return what each outcome means at a door, one a line."""
    return "\n".join(f"- `{outcome.value}`: {kept_hint(outcome, door)}" for outcome in outcomes)


def outcome_word(outcomes: Iterable[Outcome]) -> Schema:
    """Return the schema of a word that is one of these."""
    return {"type": "string", "enum": [outcome.value for outcome in outcomes]}


def problem() -> Schema:
    """Return problem+json (RFC 9457), as every refusal is."""
    return {
        "type": "object",
        "required": ["title", "status", "hint", "request_id"],
        "properties": {
            "title": {"type": "string", "description": "The status's phrase."},
            "status": {"type": "integer"},
            "outcome": component("Outcome"),
            "hint": {"type": "string", "description": "What to do."},
            "detail": {"type": "string", "description": "What exactly was wrong."},
            "request_id": REQUEST_ID,
        },
    }


def routing_answers(extra_headers: Mapping[str, Schema]) -> Schema:
    """Return the answers to requests that match no operation, as components, since they belong to no path."""
    content: dict[str, Schema] = {PROBLEM_JSON: component("Problem")}
    allow: Schema = {"type": "string", "description": "The methods that it takes."}
    answers = {
        "NotFound": Answer("404: There is no such path here.", content, EVERY),
        "MethodNotAllowed": Answer(
            "405: This path does not take that method; nothing was stored.", content, {**EVERY, "Allow": allow}
        ),
    }
    return {name: answer.with_headers(extra_headers).described() for name, answer in answers.items()}


def _problem_of(status: int, outcomes: Iterable[Outcome]) -> Schema:
    its_own = {"status": {"const": status}, "outcome": outcome_word(outcomes)}
    return {
        "allOf": [component("Problem"), {"required": ["outcome"], "properties": its_own}],
    }


def _more_headers(status: int) -> Mapping[str, Schema]:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": {"type": "string"}}
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return {"Retry-After": RETRY_AFTER}
        case _:
            return {}


CONNECTION: Answers = {  # plain text without a request id: the request reached no application
    status: Answer(f"- {why} The connection is closed.", {TEXT: {"type": "string"}}, _more_headers(status))
    for status, why in REFUSALS.items()
}
