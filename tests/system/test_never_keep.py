"""Never-keep from outside: what a sender wants nobody to keep is nowhere, whatever came of its postback."""

import gzip
import signal
from pathlib import Path

import pytest

from tests.support.outside.harness import Service, command
from tests.support.outside.registering import FORM, JSON, NDJSON, done, places, posted, sent, told
from tests.support.outside.wire import request

pytestmark = pytest.mark.system

CSV, PARTS = "text/csv", "multipart/form-data; boundary=b"
VALUE = "jane.canary.4711"


def cases(known: dict[str, str]) -> list[bytes]:
    """Return postbacks that hold the value, accepted and rejected, at each door."""
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    parts = part.format("c", "a6") + part.format("value", "1") + part.format("email", VALUE) + "--b--"
    rows = f'{{"c":"a8","value":1,"in":{{"EMAIL":["{VALUE}"]}}}}\n{{"c":"a9","value":"x","email":"{VALUE}"}}\n'.encode()
    cells = f"c,value,email\nb1,1,{VALUE}\nb2,x,{VALUE}\n".encode()
    bodies = [
        (f"c=a3&value=1&email={VALUE}", FORM),
        (f'{{"c":"a4","value":1,"\\u0065mail":"{VALUE}"}}', JSON),
        (f'{{"c":"a5","value":1,"email":"{VALUE}', JSON),
        (parts, PARTS),
    ]
    return [
        request(f"/postback?c=a1&value=1&email={VALUE}", headers=known),
        request(f"/postback?c=a1&value=7&EMAIL={VALUE}", headers=known),
        request(f"/postback?c=a2&value=x&%65mail={VALUE}", headers=known),
        request(f"/pixel.gif?c=a7&value=1&phone={VALUE}", headers=known),
        request(f"/elsewhere?c=a1&value=1&email={VALUE}", headers=known),
        *(posted("/postback", body.encode(), kind, known) for body, kind in bodies),
        *(posted("/postbacks", body, kind, known) for body, kind in ((rows, NDJSON), (cells, CSV))),
        posted("/postbacks", gzip.compress(rows), NDJSON, {**known, "Content-Encoding": "gzip"}),
        posted("/postbacks?atomic=1", rows, NDJSON, known),
        posted("/postbacks", rows[:-20], JSON, known),
    ]


@pytest.mark.proof
def test_what_is_never_kept_is_nowhere_at_any_door(tmp_path: Path) -> None:
    home = tmp_path / "service"
    home.mkdir()
    url = f"sqlite:///{home / 'p.db'}"
    done(home, url, "senders", "add", "acme", "--never-keep", "email,Phone")
    key = told(home, url, "keys", "create", "acme", "--door", "postback", "--door", "batch", "--door", "pixel")["key"]
    with Service(home, {"DATABASE_URL": url, "LOG_LEVEL": "debug", "STRANGER_RATE": "0"}) as service:
        answers = [sent(service, one) for one in (*cases({"X-API-Key": key}), *cases({}))]
        assert service.sql("SELECT params FROM conversion WHERE click_id = 'a1'") == [('{"email":""}',)]
        assert service.sql("SELECT count(*) FROM conversion") >= [(7,)]
        assert service.sql("SELECT count(*) FROM rejected_postback") >= [(15,)]
        assert places(home, [VALUE.encode()]) == []  # the log of writes as well
        assert service.terminate(signal.SIGTERM) == 0
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"c,value,Email\nd1,1,{VALUE}\nd2,x,{VALUE}\n", encoding="utf-8")
    assert command(home, url, "import", str(sheet), "--sender", "acme").returncode == 1
    done(home, url, "senders", "set", "acme", "--numbers", "comma")
    done(home, url, "replay", "--by", "maria", "--yes", "--sender", "acme")
    exports = [command(home, url, *what, "--format", "ndjson") for what in (("export",), ("rejected", "export"))]
    pages = [*(repr(answer).encode() for answer in answers), *(one.stdout.encode() for one in exports)]
    assert places(home, [VALUE.encode()], *pages) == []
