"""Owns the links of the documents: every page, heading and file that a page leads to or names is there."""

import re
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY

FOLDERS = ("docs", "alerts", "tests")
PAGES = sorted(
    page.relative_to(REPOSITORY)
    for page in [*REPOSITORY.glob("*.md"), *(found for name in FOLDERS for found in (REPOSITORY / name).rglob("*.md"))]
    if "node_modules" not in page.parts
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:service|tests|docs|alerts|stack|deploy|dashboards)/[\w./-]*)`|\b(docs/[\w/-]+\.md)")


def prose(page: Path) -> str:
    """Return the text without its code blocks, in which brackets are no links."""
    return re.sub(r"^```.*?^```", "", (REPOSITORY / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return what GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    """Say whether a relative link ends at a file, and at a heading of it if it names one."""
    where, _, anchor = link.partition("#")
    target = (REPOSITORY / page.parent / where).resolve() if where else REPOSITORY / page
    return target.exists() and (not anchor or anchor in anchors(target.relative_to(REPOSITORY)))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_relative_link_ends_at_a_page_and_a_heading(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = {one or other for one, other in NAMED.findall(prose(page))}
    assert sorted(name for name in named if not (REPOSITORY / name).exists()) == []
