"""The batch door: each row walks the straight line by itself, and the answer tells what became of each."""

import csv
import gzip
import io
import json

import pytest
from httpx2 import Response

from service.core.batch import MAX_ATOMIC_ROWS, MAX_BYTES
from service.core.bodies import CSV, JSON, NDJSON
from service.core.postback import MAX_KEPT_BYTES
from tests.support.served import Served

pytestmark = pytest.mark.anyio

GOOD, BAD = '{"c":"a","value":1.50}', '{"c":"b"}'


async def send(served: Served, body: str | bytes, content_type: str = NDJSON, **headers: str) -> Response:
    return await served.public.post("/postbacks", content=body, headers={"content-type": content_type, **headers})


def outcomes(answer: Response) -> list[str]:
    """Return the outcome of each row of an NDJSON answer, whose numbers are in order."""
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["row"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["outcome"] for row in rows]


async def test_each_row_has_its_outcome_and_a_bad_one_harms_no_other(served: Served) -> None:
    answer = await send(served, f'{GOOD}\n{BAD}\nno json\n{{"c":"z","value":"7"}}\n{GOOD}')
    assert answer.status_code == 207
    assert outcomes(answer) == ["stored", "missing_value", "malformed_body", "stored", "duplicate"]
    assert answer.headers["x-postback-outcomes"] == "stored=2 missing_value=1 malformed_body=1 duplicate=1"
    batch_id = answer.headers["x-request-id"]
    stored = served.rows("SELECT click_id, value, request_id, door FROM conversion ORDER BY click_id")
    assert stored == [("a", "1.50", f"{batch_id}-1", "batch"), ("z", "7", f"{batch_id}-4", "batch")]
    assert served.rows("SELECT request_id FROM duplicate") == [(f"{batch_id}-5",)]
    kept = served.rows("SELECT request_id, outcome, click_id, raw FROM rejected_postback")
    head = b"POST /postbacks\r\ncontent-type: application/json\r\n\r\n"
    assert kept == [
        (f"{batch_id}-2", "missing_value", "b", head + BAD.encode()),
        (f"{batch_id}-3", "malformed_body", None, head + b"no json"),
    ]
    assert served.counted() == {
        ("batch", "stored"): 2.0,
        ("batch", "duplicate"): 1.0,
        ("batch", "missing_value"): 1.0,
        ("batch", "malformed_body"): 1.0,
    }
    lines = served.lines.events()
    assert sorted(str(line["request_id"]) for line in lines) == [f"{batch_id}-{number}" for number in range(1, 6)]
    assert {(line["door"], line["trace_id"]) for line in lines} == {("batch", batch_id)}


@pytest.mark.parametrize(
    ("query", "row"), [("c=b", BAD), ("c=b&value=100%25d", '{"c":"b","value":"100%d"}')], ids=["absent", "with a %"]
)
async def test_a_row_tells_what_a_single_postback_would_be_told(served: Served, query: str, row: str) -> None:
    single = (await served.public.get(f"/postback?{query}")).json()
    told = json.loads((await send(served, row)).text)
    assert {name: told[name] for name in ("outcome", "hint", "detail")} == {
        name: single[name] for name in ("outcome", "hint", "detail")
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [(GOOD, 200), (f"{GOOD}\n{GOOD}", 200), (f"{GOOD}\n{BAD}", 207), (BAD, 422)],
)
async def test_the_status_tells_whether_all_some_or_none_was_accepted(served: Served, body: str, status: int) -> None:
    assert (await send(served, body)).status_code == status


async def test_the_same_batch_again_changes_nothing(served: Served) -> None:
    body = "\n".join(f'{{"c":"click-{number}","value":{number}}}' for number in range(600))
    assert outcomes(await send(served, body)) == ["stored"] * 600
    again = await send(served, body)
    assert (again.status_code, outcomes(again)) == (200, ["duplicate"] * 600)
    assert served.rows("SELECT count(*) FROM conversion") == [(600,)]
    assert served.counted("postback_conservation_drift") == {}


async def test_a_conversion_is_the_same_through_every_door(served: Served) -> None:
    await served.public.get("/postback?c=a&value=1.5")
    assert outcomes(await send(served, GOOD)) == ["duplicate"]
    assert outcomes(await send(served, '{"c":"a","value":2}')) == ["conflict"]


async def test_all_or_nothing_stores_all_or_nothing(served: Served) -> None:
    async def send_atomic(body: str) -> Response:
        headers = {"content-type": NDJSON}
        return await served.public.post("/postbacks?atomic=1", content=body, headers=headers)

    refused = await send_atomic(f"{GOOD}\n{BAD}\n{GOOD}")
    assert (refused.status_code, refused.headers["x-postback-outcome"]) == (400, "missing_value")
    assert refused.json()["detail"] == "row 2, so none of them was stored: absent"
    assert served.rows("SELECT * FROM conversion") == []
    ((outcome, raw),) = served.rows("SELECT outcome, raw FROM rejected_postback")
    assert (outcome, raw) == (
        "missing_value",
        f"POST /postbacks?atomic=1\r\ncontent-type: {NDJSON}\r\n\r\n{GOOD}\n{BAD}\n{GOOD}".encode(),
    )
    rows = "\n".join(f'{{"c":"click-{number}","value":1}}' for number in range(MAX_ATOMIC_ROWS))
    stored = await send_atomic(rows)
    assert (stored.status_code, outcomes(stored)) == (200, ["stored"] * MAX_ATOMIC_ROWS)
    assert outcomes(await send_atomic(rows)) == ["duplicate"] * MAX_ATOMIC_ROWS
    assert served.counted() == {
        ("batch", "missing_value"): 1.0,
        ("batch", "stored"): MAX_ATOMIC_ROWS,
        ("batch", "duplicate"): MAX_ATOMIC_ROWS,
    }


async def test_a_status_that_may_not_follow_refuses_all_or_nothing_as_one(served: Served) -> None:
    """The rows are judged before any of them is stored: against what is stored, and against each other."""
    await served.public.get("/postback?c=k&value=1&conversion_status=pending")
    refused_change = '{"c":"k","value":1,"conversion_status":"refunded"}'
    body = f"{GOOD}\n{refused_change}\n{GOOD}"
    answer = await served.public.post("/postbacks?atomic=1", content=body, headers={"content-type": NDJSON})
    assert (answer.status_code, answer.headers["x-postback-outcome"]) == (409, "illegal_transition")
    assert answer.json()["detail"].startswith("row 2, so none of them was stored: pending cannot become refunded")
    assert served.rows("SELECT click_id FROM conversion") == [("k",)]
    assert served.rows("SELECT outcome, click_id, request_id FROM rejected_postback") == [
        ("illegal_transition", "k", answer.headers["x-request-id"])
    ]
    assert served.counted() == {("postback", "stored"): 1.0, ("batch", "illegal_transition"): 1.0}
    assert served.counted("postback_arrived_total") == {("postback",): 1.0, ("batch",): 1.0}
    assert served.counted("postback_conservation_drift") == {}
    assert [line["outcome"] for line in served.lines.events()] == ["stored", "illegal_transition"]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ('{"c":"k","value":1,"conversion_status":"approved"}', 200),
        ('{"c":"k","value":1,"conversion_status":"aproved"}', 207),
    ],
)
async def test_a_row_that_no_repeat_mends_asks_for_none(served: Served, last: str, status: int) -> None:
    first = '{"c":"k","value":1,"conversion_status":"pending"}'
    refunded = '{"c":"k","value":1,"conversion_status":"refunded"}'
    body = f"{first}\n{refunded}\n{last}"
    answer = await served.public.post("/postbacks", content=body, headers={"content-type": NDJSON})
    became = "updated" if status == 200 else "invalid_status"
    assert (answer.status_code, outcomes(answer)) == (status, ["stored", "illegal_transition", became])
    assert "pending cannot become refunded" in json.loads(answer.text.splitlines()[1])["detail"]


async def test_duplicates_and_conflicts_do_not_refuse_all_or_nothing(served: Served) -> None:
    await served.public.get("/postback?c=a&value=1.5")
    body = f'{GOOD}\n{{"c":"a","value":2}}\n{{"c":"z","value":1}}'
    answer = await served.public.post("/postbacks?atomic=1", content=body, headers={"content-type": NDJSON})
    assert outcomes(answer) == ["duplicate", "conflict", "stored"]
    assert served.counted("postback_conservation_drift") == {}


@pytest.mark.parametrize("asked", [None, "*/*", JSON])
async def test_an_array_is_answered_by_an_array(served: Served, asked: str | None) -> None:
    answer = await send(served, f"[{GOOD},{BAD}]", JSON, **({"accept": asked} if asked else {}))
    assert answer.headers["content-type"] == JSON
    assert [(row["row"], row["outcome"]) for row in answer.json()] == [(1, "stored"), (2, "missing_value")]


async def test_csv_is_answered_by_csv(served: Served) -> None:
    answer = await send(served, "c,value,currency\na,1.50,EUR\nb,,\n", CSV)
    assert answer.headers["content-type"] == CSV
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(row["row"], row["outcome"], row["detail"]) for row in rows] == [
        ("1", "stored", ""),
        ("2", "missing_value", "absent"),
    ]


@pytest.mark.parametrize(("asked", "given"), [(CSV, CSV), (f"text/html, {JSON};q=0.9", JSON), ("text/html", NDJSON)])
async def test_the_answer_comes_in_the_form_that_was_asked_for(served: Served, asked: str, given: str) -> None:
    assert (await send(served, GOOD, accept=asked)).headers["content-type"] == given


async def test_a_long_answer_in_pieces_is_one_array(served: Served) -> None:
    rows = ",".join(f'{{"c":"{number}","value":1}}' for number in range(2500))
    answer = await send(served, f"[{rows}]", JSON)
    assert [row["row"] for row in answer.json()] == list(range(1, 2501))


async def test_a_compressed_batch_is_taken(served: Served) -> None:
    answer = await send(served, gzip.compress(GOOD.encode()), **{"content-encoding": "gzip"})
    assert (answer.status_code, outcomes(answer)) == (200, ["stored"])


@pytest.mark.parametrize(
    ("body", "content_type", "status", "outcome"),
    [
        (GOOD, "text/html", 415, "unsupported_media_type"),
        (f"[{GOOD}", JSON, 400, "malformed_body"),
        ("x" * (MAX_BYTES + 1), NDJSON, 413, "too_large"),
    ],
    ids=["text", "half an array", "too large"],
)
async def test_a_batch_that_is_refused_as_a_whole_is_kept_as_one(
    served: Served, body: str, content_type: str, status: int, outcome: str
) -> None:
    answer = await send(served, body, content_type)
    assert (answer.status_code, answer.headers["x-postback-outcome"]) == (status, outcome)
    assert answer.json()["outcome"] == outcome
    ((kept, raw),) = served.rows("SELECT outcome, raw FROM rejected_postback")
    assert kept == outcome
    cut = "\r\nx-incomplete: true" if outcome == "too_large" else ""
    head = f"POST /postbacks\r\ncontent-type: {content_type}{cut}\r\n\r\n".encode()
    assert raw == head + body.encode()[:MAX_KEPT_BYTES]
    assert served.counted() == {("batch", outcome): 1.0}
    assert served.rows("SELECT * FROM conversion") == []


async def test_a_stranger_is_not_told_what_is_wrong_with_his_batch(served: Served) -> None:
    answer = await send(served, "no batch", "text/plain", host="postback.example.com")
    assert (answer.status_code, answer.headers["x-postback-outcome"]) == (401, "unauthenticated")
    assert served.rows("SELECT outcome FROM rejected_postback") == [("unauthenticated",)]
