"""Owns the rows with sums that spreadsheets and platforms write above or below the others: they are no conversions."""

from collections.abc import Sequence

_WORDS = """
    total, totals, grand total, sub total, subtotal, sum, total général, total general, summe, gesamt, gesamtsumme,
    gesamtbetrag, insgesamt, zwischensumme, sub-total, sous-total, sous total, subtotaal, subtotale, somme,
    totale, suma, razem, итого, всего, celkem, spolu, totaal, totalt,
    összesen, toplam, jumlah, 合計, 合计, 总计, 総計
"""
_ALONE = """
    gesamtergebnis, teilergebnis, ergebnis, mittelwert, average, count, overall, итог, общо, ukupno, summa, yhteensä,
    小计, 小計, 총계, 합계
"""
_OF_GROUPS = (" total", " ergebnis")  # `January Total`: as spreadsheets name the sum of a group
_AROUND = " :*=-.\u00a0"
_LABELS = tuple(label.strip() for label in _WORDS.split(","))
_ONLY_ALONE = tuple(label.strip() for label in _ALONE.split(","))  # words that a text may begin with for other reasons
_AROUND_BYTES = _AROUND.encode() + b"\r"
_FIRST_LETTERS = frozenset({b"", *(label.encode()[:3] for label in (*_LABELS, *_ONLY_ALONE))})
_BEGINNINGS = tuple(label + after for label in _LABELS for after in (" ", ":", "(", ","))


def is_total(cells: Sequence[str], click_id: int) -> bool:
    """Tell whether a row is a sum of others: it says so, and where its click id should be there is none."""
    named = cells[click_id].strip() if click_id < len(cells) else ""
    return _is_label(named) or (not named and any(_is_label(cell) or _is_of_group(cell) for cell in cells))


def may_be_total(raw: bytes, delimiter: bytes, click_id: int) -> bool:
    """Tell whether a row may be such a sum, without reading its cells: most rows are none, and are many."""
    cells = raw.split(delimiter, click_id + 1)
    if b'"' in raw or len(cells) <= click_id:
        return True
    named = cells[click_id].strip(_AROUND_BYTES)
    return named[:3].lower() in _FIRST_LETTERS or named[:1] >= b"\x80"


def is_unnamed(cells: Sequence[str], click_id: int, columns: int) -> bool:
    """Tell whether a row has no click id: nothing is there, or it is a line of text that has no columns at all."""
    return len(cells) < columns or not cells[click_id].strip()


def _is_label(cell: str) -> bool:
    text = cell.strip(_AROUND).casefold()
    return text in _LABELS or text in _ONLY_ALONE or text.startswith(_BEGINNINGS)


def _is_of_group(cell: str) -> bool:
    return cell.strip(_AROUND).casefold().endswith(_OF_GROUPS)
