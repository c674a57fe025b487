"""Owns the description of the operator listener."""

from collections.abc import Mapping

from service.core.outcome import Outcome
from service.operator.browser_headers import HEADERS
from service.operator.probes import MetricsPage, ReadinessPage
from service.operator.routes import operator_routes
from service.web.openapi.answers import EVERY, Answer, outcome_word, problem, routing_answers
from service.web.openapi.document import head, paths, unwired
from service.web.openapi.fields import Schema, component
from service.web.render import PROBLEM_JSON

_OPERATOR = "What the people and machines that run the service look at; on loopback by default."


def operator_document() -> Schema:
    """Describe the listener of those who run the service."""
    extra_headers: Mapping[str, Schema] = {
        name.decode().title(): {"type": "string", "const": value.decode()} for name, value in HEADERS.items()
    }
    described = paths(operator_routes(unwired(ReadinessPage), unwired(MetricsPage)), extra_headers)
    refused = Answer("421: It does not answer to that Host.", {PROBLEM_JSON: component("Problem")}, EVERY)
    schemas: Schema = {"Outcome": outcome_word(Outcome), "Problem": problem()}
    beginning = head("Postback receiver: operator", _OPERATOR, 8001)
    return {
        **beginning,
        "paths": described,
        "components": {
            "schemas": schemas,
            "responses": {
                **routing_answers(extra_headers),
                "Misdirected": refused.with_headers(extra_headers).described(),
            },
        },
    }
