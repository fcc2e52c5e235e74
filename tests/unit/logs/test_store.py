"""What is written is read, by offset, while it is being written, within its cap and its root."""

import errno
import os
from pathlib import Path

import pytest

from piper.logs import LogStore, Masker
from piper.logs.files import CappedFile, LogUnwritable
from piper.logs.lines import parse_line
from piper.logs.packs import PACKED
from piper.model.errors import Invalid, NotFound

LOG = "etl/run/load/1.log"


def texts(data: bytes) -> list[str]:
    return [parse_line(line).text for line in data.splitlines()]


def stored(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def read_all(store: LogStore, path: str = LOG, limit: int = 1 << 16) -> bytes:
    data = b""
    for chunk in store.follow(path, limit=limit):
        if not chunk.data:
            return data
        data += chunk.data
    raise AssertionError


def test_what_is_written_can_be_read_before_the_writer_closes(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.begin(LOG, Masker())
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
    store.begin(LOG, Masker()).close()
    assert list(tmp_path.iterdir()) == []
    assert store.reader(LOG).size() == 0


def test_the_last_line_is_ended_when_the_writer_closes(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.begin(LOG, Masker())
    writer.write(b"no newline")
    writer.close()
    assert texts(store.read(LOG).data) == ["no newline"]


@pytest.mark.parametrize("size", [10, 100, 5_000])
def test_a_later_leg_goes_on_where_the_first_stopped(tmp_path: Path, size: int) -> None:
    for leg in range(30):
        store = LogStore(tmp_path, cap=60_000)  # another process, as far as the store can tell
        writer = store.resume(LOG, Masker())
        writer.write(f"leg {leg} {'x' * size}\n".encode())
        writer.close()
    lines = texts(read_all(store))
    assert lines[0].startswith("leg 0 ")
    assert lines[-1].startswith("leg 29 ")
    assert stored(tmp_path) <= 60_000 + 30 * 40  # the headers in the pack


def test_many_short_logs_are_few_files(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    for number in range(50):
        writer = store.begin(f"run/{number}.log", Masker())
        writer.write(f"of {number}\n".encode())
        writer.close()
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["main.pack"]
    assert all(texts(store.read(f"run/{number}.log").data) == [f"of {number}"] for number in range(50))


def test_logs_that_grow_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writers = {name: store.begin(f"run/{name}", Masker()) for name in ("1-1.log", "11-1.log", "1-11.log")}
    for number in range(300):
        for name, writer in writers.items():
            writer.write(f"{name} {number} {'x' * 60}\n".encode())
    for name in writers:
        lines = texts(read_all(store, f"run/{name}", limit=1000))
        assert [line.rstrip("x ") for line in lines] == [f"{name} {number}" for number in range(300)]


def test_a_follower_sees_each_line_once_while_a_log_outgrows_its_pack(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer, other = store.begin(LOG, Masker()), store.begin(LOG + "x", Masker())
    follower, seen = store.follow(LOG), b""
    for number in range(2000):
        writer.write(f"line {number}\n".encode())
        other.write(b"noise\n")
        seen += next(follower).data
    assert texts(seen) == [f"line {number}" for number in range(2000)]


def test_a_task_cannot_write_into_the_log_of_another(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.begin("run/1-1.log", Masker())
    writer.write(b"\x1e2-1.log 0 7\nforged\n")
    writer.note("\x1e2-1.log 0 7\nforged\n")
    writer.close()
    assert store.read("run/2-1.log").data == b""


def test_a_chunk_that_was_cut_short_ends_at_the_next(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.begin("run/1.log", Masker())
    writer.write(b"whole\n")
    pack = tmp_path / "run" / "main.pack"
    end = store.reader("run/1.log").size()
    with pack.open("ab") as file:
        file.write(b"\x1e1.log %d 500\n2026-11-20T12:00:00.000000Z out cut\n" % end)
    assert texts(store.read("run/1.log").data) == ["whole"]
    other = store.begin("run/2.log", Masker())
    other.write(b"next\n")
    assert texts(store.read("run/1.log").data) == ["whole", "cut"]
    assert texts(store.read("run/2.log").data) == ["next"]


def test_a_header_that_was_cut_short_hides_no_log(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.begin(LOG, Masker())
    writer.write(b"one\n")
    [pack] = (tmp_path / "etl/run/load").glob("*.pack")
    for cut in (b"\x1e1.log 3", b"\x1e1.log 37 4", b"\x1e1.lo"):
        with pack.open("ab") as file:
            file.write(cut)
        assert texts(read_all(store)) == ["one"]
    writer.write(b"two\n")
    assert texts(read_all(store)) == ["one", "two"]
    writer.close()


def test_a_log_is_whole_wherever_the_blocks_end_in_which_its_pack_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LogStore(tmp_path)
    for name in ("1.log", "2.log", "3.log"):
        writer = store.begin(f"run/{name}", Masker())
        writer.write(name.encode() + b"\n")
        writer.close()
    for block in range(60, 140):
        monkeypatch.setattr("piper.logs.packs._BLOCK", block)
        assert [texts(read_all(store, f"run/{name}")) for name in ("2.log", "3.log")] == [["2.log"], ["3.log"]]


def test_two_workers_write_below_one_root(tmp_path: Path) -> None:
    for leg, worker in enumerate(["a", "b", "a"]):
        writer = LogStore(tmp_path, writer=worker).resume(LOG, Masker())
        writer.write(f"leg {leg}\n".encode())
        writer.close()
    assert texts(LogStore(tmp_path).read(LOG).data) == ["leg 0", "leg 1", "leg 2"]


@pytest.mark.parametrize("limit", [1 << 16, 700, 200])
def test_beyond_the_cap_head_and_tail_are_kept_and_the_gap_is_told(tmp_path: Path, limit: int) -> None:
    store = LogStore(tmp_path, cap=40_000)
    writer = store.begin(LOG, Masker())
    for number in range(4000):
        writer.write(f"line {number}\n".encode())
    writer.close()
    lines = texts(read_all(store, limit=limit))
    gap = next(index for index, line in enumerate(lines) if line.endswith("bytes left out here"))
    assert lines[0] == "line 0"
    assert lines[-1] == "line 3999"
    assert lines[: gap - 1] == [f"line {number}" for number in range(gap - 1)]
    first_after = int(lines[gap + 1].split()[1])
    assert lines[gap + 1 :] == [f"line {number}" for number in range(first_after, 4000)]
    assert len(lines) - gap > 300
    assert gap > 400


def test_what_is_stored_stays_within_the_cap(tmp_path: Path) -> None:
    writer = LogStore(tmp_path, cap=200_000).begin(LOG, Masker())
    for _ in range(500):
        writer.write(b"".join(b"%050d\n" % number for number in range(50)))
    writer.close()
    assert 100_000 < stored(tmp_path) <= 200_000 + PACKED // 100


def test_every_byte_is_accounted_for_by_the_gap(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=1000)
    writer = store.begin(LOG, Masker())
    writer.write(b"".join(b"%05d\n" % number for number in range(2000)))
    writer.close()
    head = store.read(LOG)
    after = store.read(LOG, head.next)
    missing = int(parse_line(after.data.splitlines()[0]).text.split()[0].replace(",", ""))
    rest = after.data.split(b"\n", 1)[1]
    assert head.next + missing + len(rest) == after.next
    assert after.next == store.reader(LOG).size()


def test_a_line_without_end_is_cut_and_capped(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=50_000)
    writer = store.begin(LOG, Masker())
    for _ in range(100):
        writer.write(b"x" * 10_000)
    writer.close()
    data = read_all(store, limit=1000)
    assert stored(tmp_path) <= 50_000
    assert data.endswith(b"x\n")
    assert data.count(b"bytes left out here") == 1


def test_files_are_private(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=100_000)
    writer = store.begin(LOG, Masker())
    for size in (1000, 200_000):
        writer.write(b"x" * size)
    writer.close()
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert len(files) > 3
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    assert {each.stat().st_mode & 0o777 for each in tmp_path.rglob("*") if each.is_dir()} == {0o700}


@pytest.mark.parametrize(
    "path", ["", "x", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a/b\0", "..", "a/b c", "a/b\n", "a/é"]
)
def test_no_path_leads_out_of_the_store(tmp_path: Path, path: str) -> None:
    store = LogStore(tmp_path / "logs")
    for use in (store.read, store.reader, lambda each: store.begin(each, Masker())):
        with pytest.raises(Invalid, match="cannot name a log"):
            use(path)
    with pytest.raises(Invalid, match="cannot name a log"):
        store.delete("../" + path)


def test_no_link_leads_out_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "0").write_text("secret\n")
    (tmp_path / "logs" / "run").mkdir(parents=True)
    (tmp_path / "logs" / "run" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "logs" / "folder").symlink_to(tmp_path)
    (tmp_path / "logs" / "run" / "other.pack").symlink_to(tmp_path / "secret" / "0")
    store = LogStore(tmp_path / "logs")
    for path in ("run/link", "folder/secret"):
        with pytest.raises(NotFound):
            store.read(path)
    with pytest.raises(NotFound):
        store.delete("folder")
    assert store.read("run/1.log").data == b""
    assert (tmp_path / "secret" / "0").read_text() == "secret\n"


def test_a_link_where_a_log_will_be_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious\n")
    (tmp_path / "logs" / "run").mkdir(parents=True)
    (tmp_path / "logs" / "run" / "main.pack").symlink_to(tmp_path / "precious")
    writer = LogStore(tmp_path / "logs").begin("run/1.log", Masker())
    writer.write(b"x\n")
    writer.close()
    assert writer.lost > 0
    assert (tmp_path / "precious").read_text() == "precious\n"


def test_a_disk_that_is_full_loses_bytes_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LogStore(tmp_path)
    writer = store.begin(LOG, Masker())
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
    writer = LogStore(tmp_path).begin(LOG, Masker())
    writer.write(b"x\n")
    writer.note("y")
    writer.close()
    assert writer.lost > 0


def test_deleted_logs_are_gone_and_can_be_written_anew(tmp_path: Path) -> None:
    store = LogStore(tmp_path, cap=100)
    for text in (b"first\n", b"second\n"):
        writer = store.begin(LOG, Masker())
        writer.write(text + b"x" * 1000)
        writer.close()
        short = store.begin("etl/run/load/2.log", Masker())
        short.write(text)
        assert store.read(LOG).data
        assert texts(store.read("etl/run/load/2.log").data) == [text.decode().strip()]
        store.delete("etl/run/load")
        assert store.read(LOG).data == b""
        assert store.read("etl/run/load/2.log").data == b""
    store.delete("etl/run")
    assert os.listdir(tmp_path / "etl") == []
    store.delete("etl/run")


def test_secrets_do_not_reach_the_file_also_across_chunks(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    masker = Masker()
    writer = store.begin(LOG, masker)
    writer.write(b"begin\n")
    masker.add(["hunter22!"])
    writer.write(b"the word is hunt")
    writer.write(b"er22!\n")
    writer.note("told hunter22!")
    writer.write(b"hunter2")
    writer.close()
    assert texts(store.read(LOG).data) == ["begin", "the word is ***", "told ***", "hunter2"]
