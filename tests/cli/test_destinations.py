from __future__ import annotations

import csv
import io
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modica_facade.cli._destinations import Destinations, checked_destinations, number_key, read_destinations

from .support import ELSEWHERE, HERE, THERE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "customers.csv"


def read(file: Path, content: str | bytes, column: str | None = None, country: str | None = None) -> Destinations:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_destinations((), [str(file)], column, country)


TABLE = [["Name", "Mobile", "Note"], ["Smith, A", HERE, 'says "hi"; often'], ["B", THERE, "two\nlines"], ["", "", ""]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("column", ["Mobile", "mobile", " MOBILE "])
def test_a_table_is_read_whatever_program_wrote_it(
    file: Path, delimiter: str, line_end: str, quoting: int, mark: str, column: str
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(TABLE)
    assert read(file, mark + text.getvalue(), column).wanted == [HERE, THERE]


@pytest.mark.parametrize(
    "content",
    [
        f"mobile\n{HERE}\n{THERE}\n",
        f"# exported on Monday\n\nmobile,name\n{HERE},A\n\n# not this one\n#{ELSEWHERE},C\n{THERE},B",
        f'name, mobile\n"A, B", {HERE}\n"C, D", {THERE}\n',
        f"#,mobile\n1,{HERE}\n2,{THERE}\n",
        f"surname, name;mobile\nSmith, A;{HERE}\nJones, B;{THERE}\n",
    ],
)
def test_comments_blank_rows_and_odd_headings_do_no_harm(file: Path, content: str) -> None:
    assert read(file, content, "mobile").wanted == [HERE, THERE]


def test_a_list_has_one_number_a_line(file: Path) -> None:
    content = f"\ufeff# customers\r\n{HERE}\r\n\r\n  {THERE} \n{ELSEWHERE}"
    assert read(file, content).wanted == [HERE, THERE, ELSEWHERE]


def test_several_files_and_arguments_are_one_list(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(HERE)
    two.write_text(f"{ELSEWHERE}\n{HERE}")
    read_all = read_destinations([THERE], [str(one), str(two)], None, None)
    assert (read_all.wanted, read_all.repeated) == ([THERE, HERE, ELSEWHERE], 1)


@pytest.mark.parametrize(
    ("content", "column", "complaint"),
    [
        (f'"Smith, A",{HERE}\n', None, r"customers.csv has columns \(line 1\); .* --column NAME"),
        (f"{HERE}\n{THERE};B\n", None, r"customers.csv has columns \(line 2\)"),
        (f"{HERE}\tA\n", None, "has columns"),
        (f'"{HERE}"\n', None, "has columns"),
        (f"name,mobile\nA,{HERE}\n", "phone", "customers.csv has no column 'phone'; it has name, mobile"),
        (f"mobile,name,Mobile\n{HERE},A,{THERE}\n", "mobile", "several columns 'mobile'"),
        ("", "mobile", "has no heading"),
        ("\n\n# nothing\n", "mobile", "has no heading"),
        (f'name,mobile\n"A,{HERE}\n', "mobile", r"cannot be read as a table \(line 2\)"),
        (f'name,mobile\n"A"x,{HERE}\n', "mobile", r"cannot be read as a table \(line 2\)"),
        (b"+64211234567\n+64\xe9\n", None, r"customers.csv is not UTF-8 text \(line 2\); .*'CSV UTF-8'"),
        ("mobile\n".encode("utf-16"), "mobile", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_not_what_was_said_is_refused_as_a_whole(
    file: Path, content: str | bytes, column: str | None, complaint: str
) -> None:
    with pytest.raises(click.UsageError, match=complaint):
        read(file, content, column)


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    with pytest.raises(click.UsageError, match=f"^{path} cannot be read: "):
        read_destinations((), [path], None, None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("6.4211E+10", "a spreadsheet has rounded this number"),
        ("6,4211E+10", "a spreadsheet has rounded this number"),
        ("64211234567.0", "a spreadsheet has made a decimal of this number"),
        ("", "empty"),
        ("mobile", "not a number"),
        ("A +64211234567", "not a number"),
        ("name@example.org", "not a number"),
        ("+64211234567\x1b[2J", "invisible"),
        ("+64211234567\u200b", "invisible"),
        ("---", "not a number"),
    ],
)
def test_a_row_that_is_no_number_is_named_by_its_line(file: Path, value: str, reason: str) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["note", "mobile"], ["two\nlines", HERE], ["x", value], ["x", THERE]])
    found = read(file, text.getvalue(), "mobile")
    assert found.wanted == [HERE, THERE]
    [bad] = found.bad
    assert (bad.where, bad.value) == ("customers.csv, line 4", value)
    assert reason in bad.reason


def test_a_row_without_end_is_judged_at_once_and_shown_in_part(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{'1' * 3_000_000}x\n{HERE}\n")
    assert checked_destinations((), [str(file)], None, None, skip_bad=True) == [HERE]
    first = capsys.readouterr().err.splitlines()[0]
    assert (first.endswith("x': not a number"), len(first) < 150) == (True, True)


def test_a_row_that_is_too_short_is_bad(file: Path) -> None:
    [bad] = read(file, f"name,mobile\nA\nB,{HERE}\n", "mobile").bad
    assert (bad.where, bad.reason) == ("customers.csv, line 2", "empty")


def test_what_is_typed_is_left_to_the_gateway_but_for_what_a_spreadsheet_did() -> None:
    found = read_destinations(["X", HERE, "6.4211E+10"], [], None, None)
    assert (found.wanted, [bad.where for bad in found.bad]) == (["X", HERE], ["argument 3"])


def test_local_numbers_become_international_ones_where_a_country_is_given(file: Path) -> None:
    found = read(file, f"021 123 4567\n0064211234568\n{ELSEWHERE}\n02\n+61 412 345 678", country="nz")
    assert found.wanted == [HERE, THERE, ELSEWHERE, "+61412345678"]
    assert found.changed[0] == ("021 123 4567", HERE)
    assert [(bad.where, bad.reason) for bad in found.bad] == [("customers.csv, line 4", "not a number of NZ")]


def test_without_a_country_local_numbers_stay_and_are_pointed_out(file: Path) -> None:
    found = read(file, f"{HERE}\n021 123 4568\n")
    assert (found.wanted, found.local) == ([HERE, "021 123 4568"], [("customers.csv, line 2", "021 123 4568")])


def test_a_country_that_does_not_exist_is_a_usage_error(file: Path) -> None:
    with pytest.raises(click.UsageError, match="--country: there is no country 'XX'"):
        read(file, "021 123 4567", country="XX")


@pytest.mark.parametrize("again", ["+64 21 123 4567", "64211234567", "0064 21-123-4567", "+64(21)1234567"])
def test_one_number_in_two_spellings_is_sent_to_once(file: Path, again: str) -> None:
    found = read(file, f"{HERE}\n{again}\n")
    assert (found.wanted, found.repeated) == ([HERE], 1)


@given(st.text("+0123456789 -()./", min_size=1, max_size=20))
def test_a_key_depends_on_digits_only(written: str) -> None:
    key = number_key(written)
    digits = "".join(c for c in written if c.isdigit())
    assert key == written or key in (digits, digits.removeprefix("00"))


@given(
    st.binary(max_size=300) | st.text("mobile,;\t\"'\n\r#+0123456789\x00 ", max_size=300).map(str.encode), st.booleans()
)
def test_no_file_brings_it_down(tmp_path_factory: pytest.TempPathFactory, content: bytes, table: bool) -> None:
    file = tmp_path_factory.getbasetemp() / "hostile.csv"
    try:
        found = read(file, content, "mobile" if table else None)
    except click.UsageError as error:
        assert error.message
        return
    assert len(set(map(number_key, found.wanted))) == len(found.wanted)
    assert all(any(c.isdigit() for c in each) for each in found.wanted)
