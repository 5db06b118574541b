"""The list of rows to leave out, as --check-data writes it and as people write it."""

from pathlib import Path

import pytest

from data_pipeline.errors import UserError
from data_pipeline.reading.exclude_list import read_exclude_list, write_exclude_list

ODD = ['"Yes" he said', '"never closed', '"quoted"', 'in "the" middle', '""', "plain", "a b", "ü", "'single'", 'ends"']


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "exclude.tsv"
    write_exclude_list(path, [(name, f'because of "{name}\n\tand more') for name in ODD])
    assert read_exclude_list(str(path)) == set(ODD)
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(ODD) + 1


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_id_a_line_that_begins_with_a_quotation_mark(newline, tmp_path):
    """Four ids, of which csv makes one, from the first quotation mark to the last."""
    names = ['"Open', "second", '"third', 'fourth"']
    path = tmp_path / "list.txt"
    path.write_bytes(newline.join(names).encode())
    assert read_exclude_list(str(path)) == set(names)


def test_a_list_without_ids_is_an_error(tmp_path):
    path = Path(tmp_path / "list.txt")
    path.write_text("\n\n", encoding="utf-8")
    with pytest.raises(UserError, match="holds no id"):
        read_exclude_list(str(path))


def test_a_list_that_cannot_be_read_is_an_error():
    with pytest.raises(UserError, match="cannot be read"):
        read_exclude_list("/proc/self/mem")  # a file that opens, and gives nothing to anybody
