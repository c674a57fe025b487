"""Owns how tests read what the database counts of the shares of the quarantine."""

from tests.support.engines import Engine

FIGURES = "SELECT share, sum(bytes) FROM quarantine_share GROUP BY share HAVING sum(bytes) <> 0 ORDER BY share"


def figures(engine: Engine) -> dict[str, int]:
    return {str(share): int(str(taken)) for share, taken in engine.rows(FIGURES)}
