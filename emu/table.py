"""Markdown tables of at most 80 columns, and figures as people read them."""

from collections.abc import Iterator, Sequence

COLUMNS = 80

Rows = Sequence[Sequence[str]]


def table(head: Sequence[str], rows: Rows) -> Iterator[str]:
    """The lines of a Markdown table; columns whose cells are all numbers are aligned right."""
    widths = _widths(head, rows)
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(w) if right else cell.ljust(w)
            for cell, w, right in zip(cells, widths, numeric, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = (
        "-" * (w + 1) + ":" if right else "-" * (w + 2)
        for w, right in zip(widths, numeric, strict=True)
    )
    yield f"|{'|'.join(rules)}|"
    yield from map(line, rows)


def room(head: Sequence[str], rows: Rows) -> int:
    """Columns that are left for the cells of one more column."""
    widths = _widths(head, rows)
    return COLUMNS - sum(widths) - len("| ") - 3 * len(widths) - len(" |")


def _widths(head: Sequence[str], rows: Rows) -> list[int]:
    return [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]


def _is_number(cell: str) -> bool:
    return cell.lstrip("+-").rstrip("%x").replace(",", "").replace(".", "").isdigit()


def short(text: str, width: int) -> str:
    """Text in one line of at most ``width``; both of its ends tell, so the middle goes."""
    text = plain(text)
    if len(text) <= width:
        return text
    tail = (width - 2) // 2
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"


def plain(text: str) -> str:
    """Text from a model file, without what would break a line, a table or a terminal."""
    return "".join(c if c.isprintable() and c != "|" else "?" for c in text)


def us(ps: int) -> str:
    """Picoseconds as microseconds."""
    return f"{ps / 1e6:,.3f}"


def percent(ps: int, total: int) -> str:
    """A share of a total, 0% of nothing."""
    return f"{ps / total if total else 0.0:.1%}"


def size(count: int) -> str:
    """Bytes in MB, or in kB if there are few."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
