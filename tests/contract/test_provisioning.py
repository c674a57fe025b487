"""Owns what Grafana is provisioned with: read-only dashboards, data sources with fixed uids, links to log lines."""

import json
import re
from itertools import chain
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.support.documents import REPOSITORY
from tests.support.outside.panel_queries import dashboards, panels

PROVISIONING = REPOSITORY / "dashboards" / "provisioning"


def test_provisioned_dashboards_are_read_only_and_lie_where_compose_mounts_them() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/postback.yml").read_text(encoding="utf-8"))["providers"]
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
    assert (provider["allowUiUpdates"], provider["disableDeletion"], provider["type"]) == (False, True, "file")
    assert f"./dashboards/generated:{provider['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]


def test_data_sources_have_fixed_uids_names_of_compose_services_and_cannot_be_edited() -> None:
    sources = yaml.safe_load((PROVISIONING / "datasources/postback.yml").read_text(encoding="utf-8"))["datasources"]
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert [source["uid"] for source in sources] == ["prometheus", "alertmanager", "loki"]
    assert {urlsplit(source["url"]).hostname for source in sources} <= services.keys()
    assert {source["editable"] for source in sources} == {False}


def test_every_link_to_log_lines_opens_a_query_of_the_labels_that_alloy_sets() -> None:
    sources = (PROVISIONING / "datasources/postback.yml").read_text(encoding="utf-8")
    links = re.findall(r"(/explore\?\S+)", sources)
    assert len(links) == 2
    for panel in chain.from_iterable(map(panels, dashboards())):
        links += [link["url"] for link in panel["fieldConfig"]["defaults"].get("links", [])]
    labels = (REPOSITORY / "stack" / "config.alloy").read_text(encoding="utf-8")
    for link in links:
        (written,) = parse_qs(urlsplit(link).query)["panes"]
        (query,) = json.loads(unquote(written))["lines"]["queries"]
        assert query["datasource"]["uid"] == "loki"
        assert query["expr"].startswith('{service_name="postback"')
        assert [
            label for label in re.findall(r'(\w+)="', query["expr"]) if f"{label} " not in labels.replace('"', " ")
        ] == []
