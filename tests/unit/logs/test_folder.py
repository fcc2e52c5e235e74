"""All logs of a folder are read as they grow, each line once, at the cost of what is new."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from piper.logs import FolderReader, LogStore, Masker
from piper.logs.packs import MARK, PACKED


def texts(found: list[tuple[str, object]]) -> dict[str, str]:
    return {name: chunk.data.decode() for name, chunk in found}  # type: ignore[attr-defined]


def test_a_folder_that_is_not_there_yet_has_nothing_new(tmp_path: Path) -> None:
    assert FolderReader(LogStore(tmp_path), "7").look() == []


def test_each_line_of_each_log_is_told_once(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    reader = FolderReader(store, "7")
    writers = [store.begin(f"7/{number}-1.log", Masker()) for number in range(3)]
    told: dict[str, str] = {}
    for turn in range(4):
        for number, writer in enumerate(writers):
            writer.write(f"turn {turn} of {number}\n".encode())
        for name, text in texts(reader.look()).items():
            told[name] = told.get(name, "") + text
    assert reader.look() == []
    for number in range(3):
        lines = told[f"{number}-1.log"].splitlines()
        assert [line.partition(" out ")[2] for line in lines] == [f"turn {turn} of {number}" for turn in range(4)]


def test_a_line_is_told_when_it_has_ended(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    reader = FolderReader(store, "7")
    writer = store.begin("7/0-1.log", Masker())
    writer.write(b"whole\nhal")
    assert texts(reader.look())["0-1.log"].endswith(" whole\n")
    assert reader.look() == []
    writer.write(b"f")
    writer.close()
    assert texts(reader.look())["0-1.log"].endswith(" half\n")


def test_a_log_that_outgrows_the_packs_is_told_to_its_end(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    reader = FolderReader(store, "7")
    writer = store.begin("7/0-1.log", Masker())
    other = store.begin("7/1-1.log", Masker())
    told = b""
    for number in range(3 * PACKED // 100):
        writer.write(b"%06d" % number + b"x" * 60 + b"\n")
        if number % 50 == 0:
            other.write(b"beside\n")
            told += b"".join(chunk.data for name, chunk in reader.look() if name == "0-1.log")
    told += b"".join(chunk.data for name, chunk in reader.look() if name == "0-1.log")
    assert told == store.read("7/0-1.log", limit=1 << 20).data


def test_what_is_too_much_for_one_look_is_left_for_the_next(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    for number in range(10):
        writer = store.begin(f"7/{number}-1.log", Masker())
        writer.write(b"x" * 1000 + b"\n")
        writer.close()
    reader = FolderReader(store, "7")
    told: set[str] = set()
    looks = 0
    while True:
        told |= set(texts(reader.look(limit=3000)))
        looks += 1
        if not reader.behind:
            break
    assert told == {f"{number}-1.log" for number in range(10)}
    assert looks > 2


def test_a_chunk_that_is_being_written_waits(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    (tmp_path / "7").mkdir()
    pack = tmp_path / "7" / "w.pack"
    reader = FolderReader(store, "7")
    pack.write_bytes(MARK + b"0-1.log 0 6\none\n")
    assert reader.look() == []
    with pack.open("ab") as file:
        file.write(b"2\n")
    assert texts(reader.look()) == {"0-1.log": "one\n2\n"}


@pytest.mark.parametrize(
    "broken", [b"\x1e", b"\x1ex\n", b"\x1e0-1.log x 3\nab\n", b"\x1e0-1.log 0\n", b"\x1e0-1.log 99 4\nabc\n", b"\xff\n"]
)
def test_what_is_no_chunk_is_passed_over(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "w.pack").write_bytes(broken + MARK + b"0-1.log 0 4\none\n")
    assert texts(FolderReader(LogStore(tmp_path), "7").look()) == {"0-1.log": "one\n"}


def test_a_look_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LogStore(tmp_path)
    reader = FolderReader(store, "7")
    read = 0
    real = os.pread

    def counting(descriptor: int, size: int, offset: int) -> bytes:
        nonlocal read
        data = real(descriptor, size, offset)
        read += len(data)
        return data

    monkeypatch.setattr(os, "pread", counting)
    for number in range(300):
        writer = store.begin(f"7/{number}-1.log", Masker())
        writer.write(b"x" * 200 + b"\n")
        writer.close()
        reader.look()
    stored = sum(each.stat().st_size for each in tmp_path.rglob("*.pack"))
    assert read < 3 * stored
