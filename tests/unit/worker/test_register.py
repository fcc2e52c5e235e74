"""What a worker leaves behind for its successor, whatever moment it was killed at."""

from pathlib import Path

from piper.model.run import Identity
from piper.worker.register import Head, Register, Row

HEAD = Head("MARK=x", "/tmp/x", "")


def row(number: int) -> Row:
    return Row(Identity(number, 1, 0), f"token {number}")


def begun(file: Path) -> Register:
    one = Register(str(file))
    one.begin(HEAD)
    return one


def test_a_new_register_tells_of_nobody(tmp_path: Path) -> None:
    one = Register(str(tmp_path / "run" / "w.register"))
    assert (one.predecessor, one.left) == (None, [])


def test_a_successor_reads_what_was_not_taken_back(tmp_path: Path) -> None:
    one = begun(tmp_path / "w.register")
    places = [one.add(row(number)) for number in range(5)]
    one.remove(places[1])
    one.remove(places[3])
    one.close()
    two = Register(str(tmp_path / "w.register"))
    assert two.predecessor == HEAD
    assert two.left == [row(0), row(2), row(4)]
    two.begin(HEAD)
    two.close()
    assert Register(str(tmp_path / "w.register")).left == []


def test_places_are_used_again_the_lowest_first(tmp_path: Path) -> None:
    one = begun(tmp_path / "w.register")
    places = [one.add(row(number)) for number in range(4)]
    one.remove(places[2])
    one.remove(places[0])
    assert [one.add(row(9)), one.add(row(9)), one.add(row(9))] == [places[0], places[2], places[3] + 1]


def test_what_does_not_fit_is_not_noted_and_can_be_taken_back_all_the_same(tmp_path: Path) -> None:
    one = begun(tmp_path / "w.register")
    place = one.add(Row(Identity(1, 1, 0), "x" * 2000))
    assert place == -1
    one.remove(place)


def test_it_holds_tokens_so_it_is_private(tmp_path: Path) -> None:
    begun(tmp_path / "run" / "w.register")
    assert (tmp_path / "run" / "w.register").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_file_of_another_form_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "w.register").write_bytes(b"\x00\x10 nonsense" * 1000)
    one = Register(str(tmp_path / "w.register"))
    assert (one.predecessor, one.left) == (None, [])
