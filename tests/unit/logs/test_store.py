"""What is written is read, by offset, while it is being written, within its cap and its root."""

import errno
import os
from pathlib import Path

import pytest

from piper.logs import LogStore, Masker
from piper.logs.files import CappedFile, LogUnwritable, segments_of
from piper.logs.lines import parse_line
from piper.model.errors import Invalid, NotFound

LOG = "etl/run/load/1.log"


def texts(data: bytes) -> list[str]:
    return [parse_line(line).text for line in data.splitlines()]


def read_all(store: LogStore, path: str = LOG, limit: int = 1 << 16) -> bytes:
    data = b""
    for chunk in store.follow(path, limit=limit):
        if not chunk.data:
            return data
        data += chunk.data
    raise AssertionError


def test_what_is_written_can_be_read_before_the_writer_closes(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.writer(LOG, Masker())
    follower = store.follow(LOG)
    assert next(follower).data == b""
    writer.write(b"one\ntw")
    assert texts(next(follower).data) == ["one"]
    assert next(follower).data == b""
    writer.write(b"o\n")
    assert texts(next(follower).data) == ["two"]
    writer.close()


def test_a_task_that_writes_nothing_leaves_no_file(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    store.writer(LOG, Masker()).close()
    assert list(tmp_path.iterdir()) == []
    assert store.size(LOG) == 0


def test_the_last_line_is_ended_when_the_writer_closes(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.writer(LOG, Masker())
    writer.write(b"no newline")
    writer.close()
    assert texts(store.read(LOG).data) == ["no newline"]


def test_a_later_writer_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=2000)
    for leg in range(30):
        writer = store.writer(LOG, Masker())
        writer.write(f"leg {leg} {'x' * 100}\n".encode())
        writer.close()
    lines = texts(read_all(store))
    assert lines[0].startswith("leg 0 ")
    assert lines[-1].startswith("leg 29 ")
    assert sum(segment.size for segment in segments_of(str(tmp_path / LOG))) <= 2000


@pytest.mark.parametrize("limit", [1 << 16, 700, 200])
def test_beyond_the_cap_head_and_tail_are_kept_and_the_gap_is_told(tmp_path: Path, limit: int) -> None:
    store = LogStore(tmp_path, cap=10_000)
    writer = store.writer(LOG, Masker())
    for number in range(1000):
        writer.write(f"line {number}\n".encode())
    writer.close()
    stored = sum(segment.size for segment in segments_of(str(tmp_path / LOG)))
    assert stored <= 10_000
    lines = texts(read_all(store, limit=limit))
    gap = next(index for index, line in enumerate(lines) if line.endswith("bytes left out here"))
    assert lines[0] == "line 0"
    assert lines[-1] == "line 999"
    assert lines[: gap - 1] == [f"line {number}" for number in range(gap - 1)]
    first_after = int(lines[gap + 1].split()[1])
    assert lines[gap + 1 :] == [f"line {number}" for number in range(first_after, 1000)]
    assert len(lines) - gap > 50


def test_every_byte_is_accounted_for_by_the_gap(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=1000)
    writer = store.writer(LOG, Masker())
    writer.write(b"".join(b"%05d\n" % number for number in range(2000)))
    writer.close()
    head = store.read(LOG)
    after = store.read(LOG, head.next)
    missing = int(parse_line(after.data.splitlines()[0]).text.split()[0].replace(",", ""))
    rest = after.data.split(b"\n", 1)[1]
    assert head.next + missing + len(rest) == after.next
    assert after.next == store.size(LOG)


def test_a_line_without_end_is_cut_and_capped(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=50_000)
    writer = store.writer(LOG, Masker())
    for _ in range(100):
        writer.write(b"x" * 10_000)
    writer.close()
    data = read_all(store, limit=1000)
    assert sum(segment.size for segment in segments_of(str(tmp_path / LOG))) <= 50_000
    assert data.endswith(b"x\n")
    assert data.count(b"bytes left out here") == 1


def test_files_are_private(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=100)
    writer = store.writer(LOG, Masker())
    writer.write(b"x" * 1000)
    writer.close()
    assert (tmp_path / LOG).stat().st_mode & 0o777 == 0o600
    assert all(Path(each.file).stat().st_mode & 0o777 == 0o600 for each in segments_of(str(tmp_path / LOG)))


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b", ".."])
def test_no_path_leads_out_of_the_store(tmp_path: Path, path: str) -> None:
    store = LogStore(tmp_path / "logs")
    for use in (store.read, store.size, store.delete, lambda each: store.writer(each, Masker())):
        with pytest.raises(Invalid, match="cannot name a log"):
            use(path)


def test_no_link_leads_out_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "logs" / "folder").symlink_to(tmp_path)
    store = LogStore(tmp_path / "logs")
    for path in ("link", "folder/secret"):
        with pytest.raises(NotFound):
            store.read(path)
        with pytest.raises(NotFound):
            store.delete(path)
    writer = store.writer("link", Masker())
    writer.write(b"x")
    writer.close()
    assert (tmp_path / "secret").read_text() == "secret\n"


def test_a_disk_that_is_full_loses_bytes_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LogStore(tmp_path)
    writer = store.writer(LOG, Masker())
    writer.write(b"before\n")
    append = CappedFile.append

    def full(self: CappedFile, data: bytes) -> None:
        raise LogUnwritable(os.strerror(errno.ENOSPC), 0)

    monkeypatch.setattr(CappedFile, "append", full)
    writer.write(b"lost\n")
    writer.write(b"lost too\n")
    assert writer.lost > len(b"lost\nlost too\n")
    monkeypatch.setattr(CappedFile, "append", append)
    writer.write(b"after\n")
    writer.close()
    assert writer.lost == 0
    lines = [line for line in texts(store.read(LOG).data) if line]
    assert lines[0] == "before"
    assert lines[1].endswith("bytes lost here: No space left on device")
    assert lines[2] == "after"


def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "etl").write_text("a file where a folder must be")
    writer = LogStore(tmp_path).writer(LOG, Masker())
    writer.write(b"x\n")
    writer.note("y")
    writer.close()
    assert writer.lost > 0


def test_a_deleted_log_is_gone_with_its_tail(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=100)
    writer = store.writer(LOG, Masker())
    writer.write(b"x" * 1000)
    writer.close()
    store.delete(LOG)
    assert store.read(LOG).data == b""
    assert os.listdir((tmp_path / LOG).parent) == []
    store.delete("etl")
    assert os.listdir(tmp_path) == []
    store.delete("etl")


def test_secrets_do_not_reach_the_file_also_across_chunks(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    masker = Masker()
    writer = store.writer(LOG, masker)
    writer.write(b"begin\n")
    masker.add(["hunter22!"])
    writer.write(b"the word is hunt")
    writer.write(b"er22!\n")
    writer.note("told hunter22!")
    writer.write(b"hunter2")
    writer.close()
    assert texts(store.read(LOG).data) == ["begin", "the word is ***", "told ***", "hunter2"]
