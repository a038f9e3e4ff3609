"""Boards: nothing torn, foreign or contradictory is ever believed; C and Python agree on every byte."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tearing import HERE, compiled, consistent, fill, stress

from rmedge.errors import AbsentError, BoardError, LayoutError, UsageError, WriterError
from rmedge.runtimes import native
from rmedge.runtimes.boards import RECORDS, SKEW_NS, Board, fresh, home
from rmedge.runtimes.boards.files import HEADER, SLOTS
from rmedge.runtimes.boards.records import CAPACITY, fingerprint, record_of
from rmedge.runtimes.native import header

ROOT = HERE.parents[1]
SIZES = {"frame": 5 * 3 * 3}
SLOT = record_of("state").itemsize + 16


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    found = compiled(HERE.parent / "native" / "boards.c", tmp_path_factory.mktemp("c") / "boards")
    return found or pytest.skip("no C compiler on this machine")


def c(program, *argv):
    done = subprocess.run([str(program), *map(str, argv)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def shown(path, count=1, name="state"):
    """A writer that has published so many records."""
    board = Board.create(path, name, SIZES.get(name, 0))
    for _ in range(count):
        if name == "state":
            fill(board.record, board.sequence + 1)
        board.publish()
    return board


def patch(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


# One writer, any readers


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_published_is_read(tmp_path, name):
    rng = np.random.default_rng(0)
    with Board.create(tmp_path, name, SIZES.get(name, 0)) as writer, Board.open(tmp_path, name) as reader:
        assert reader.read() is None and reader.newest == 0
        for number in range(1, 10):
            raw = rng.integers(0, 256, writer.record.dtype.itemsize, np.uint8)
            for field in writer.record.dtype.names:
                part = np.frombuffer(raw.tobytes(), writer.record.dtype)[0][field]
                writer.record[field] = part
            writer.publish()
            assert reader.newest == number
            record = reader.read()
            assert reader.sequence == writer.sequence == number
            assert record.tobytes() == writer.record.tobytes()


def test_what_was_read_stays_and_cannot_be_written_to(tmp_path):
    with shown(tmp_path) as writer, Board.open(tmp_path, "state") as reader:
        kept = reader.read()
        for _ in range(3 * SLOTS):
            fill(writer.record, writer.sequence + 1)
            writer.publish()
        assert consistent(kept, 1) and consistent(reader.read(), writer.sequence)
        with pytest.raises(ValueError, match="read-only"):
            kept["joint_pos"][0] = 1.0


def test_a_damaged_slot_is_counted_and_the_one_before_it_read(tmp_path):
    with shown(tmp_path, 7), Board.open(tmp_path, "state") as reader:
        for number, left in ((7, 6), (6, 5)):
            patch(tmp_path / "state", HEADER.itemsize + number % SLOTS * SLOT + 100, b"\xff")
            torn = reader.torn
            with Board.open(tmp_path, "state") as fresh_reader:
                assert consistent(fresh_reader.read(), left)
            assert consistent(reader.read(), left) if reader.sequence <= left else reader.read() is None
            assert reader.torn > torn


def test_a_reader_never_goes_back(tmp_path):
    with shown(tmp_path, 7) as writer, Board.open(tmp_path, "state") as reader:
        assert consistent(reader.read(), 7)
        patch(tmp_path / "state", HEADER.itemsize + 7 % SLOTS * SLOT + 100, b"\xff")
        assert reader.read() is None  # number 6 is whole, but older than what is known
        fill(writer.record, 8)
        writer.publish()
        assert consistent(reader.read(), 8)


@pytest.mark.parametrize("seed", range(200))
def test_no_flipped_bit_is_ever_believed(tmp_path, seed):
    rng = np.random.default_rng(seed)
    shown(tmp_path, 6).close()
    path = tmp_path / "state"
    data = bytearray(path.read_bytes())
    for bit in rng.integers(0, 8 * len(data), rng.integers(1, 20)):
        data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(data))
    try:
        reader = Board.open(tmp_path, "state")
    except BoardError:
        return
    with reader:
        record = reader.read()
        assert record is None or consistent(record, reader.sequence)


def test_a_writer_that_died_in_mid_publish_leaves_whole_records_only(tmp_path):
    writer = shown(tmp_path, 6)
    staged = bytes(writer._staged)  # number 6
    at = HEADER.itemsize + 7 % SLOTS * SLOT
    half = (7).to_bytes(8, "little") + staged[8 : SLOT // 2]  # number first: another order than ours
    patch(tmp_path / "state", at, half)
    with Board.open(tmp_path, "state") as reader:
        assert consistent(reader.read(), 6)
        assert reader.torn == 1
        writer.close()
        with Board.create(tmp_path, "state") as heir:
            assert (heir.sequence, heir.torn) == (6, 0)
            fill(heir.record, 7)
            heir.publish()
            assert consistent(reader.read(), 7)


def test_a_killed_writer_leaves_whole_records_and_no_lock(tmp_path):
    Board.create(tmp_path, "state").close()
    with Board.open(tmp_path, "state") as reader:
        before = 0
        for _ in range(3):
            process = subprocess.Popen([sys.executable, str(HERE), "write", str(tmp_path), "60"])
            while reader.newest < before + 2000:
                assert process.poll() is None
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert consistent(reader.read(), reader.sequence)
            assert reader.sequence > before
            before = reader.sequence
    with Board.create(tmp_path, "state") as heir:
        assert heir.sequence == before


def test_nothing_torn_is_accepted_at_full_speed(tmp_path, program):
    said = stress(1.0, program, tmp_path)
    readers = [counts for name, counts in said.items() if "reader" in name]
    assert len(readers) == 8
    for counts in readers:
        assert counts["bad"] == counts["back"] == 0
        assert counts["fresh"] > 0


# One writer


def test_a_second_writer_is_refused_by_name(tmp_path):
    with shown(tmp_path), pytest.raises(WriterError) as caught:
        Board.create(tmp_path, "state")
    assert str(caught.value) == (
        f"state: expected no other writer in {str(tmp_path)!r}, got process {os.getpid()}; "
        "stop it, or use another directory"
    )
    Board.create(tmp_path, "state").close()


def test_c_and_python_refuse_each_other_as_second_writers(tmp_path, program):
    with shown(tmp_path):
        code, said = c(program, "create", tmp_path, 0)
        assert code == 1
        assert said == (
            f"-4 state: expected no other writer, got process {os.getpid()}; "
            "stop it, or use another directory\n"
        )
    process = subprocess.Popen([str(program), "write", str(tmp_path / "other"), "60"])
    try:
        while not (tmp_path / "other" / "state").exists():
            time.sleep(0.005)
        with pytest.raises(WriterError, match=f"got process {process.pid}"):
            Board.create(tmp_path / "other", "state")
    finally:
        process.kill()
        process.wait()
    Board.create(tmp_path / "other", "state").close()


# Files


def test_boards_are_their_owners_alone(tmp_path):
    old = os.umask(0)
    try:
        Board.create(tmp_path / "a" / "b", "frame", 300).close()
    finally:
        os.umask(old)
    folder = tmp_path / "a" / "b"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "frame": 0o600,
        "frame.lock": 0o600,
    }


def test_a_directory_that_others_may_write_to_is_refused(tmp_path):
    shown(tmp_path).close()
    tmp_path.chmod(0o777)
    try:
        for attempt in (lambda: Board.open(tmp_path, "state"), lambda: Board.create(tmp_path, "state")):
            with pytest.raises(BoardError, match="that only we can write to"):
                attempt()
    finally:
        tmp_path.chmod(0o700)


def test_a_board_that_is_not_there_says_what_to_start(tmp_path):
    with pytest.raises(AbsentError) as caught:
        Board.open(tmp_path, "target")
    assert str(caught.value) == (
        f"target: expected a board in {str(tmp_path)!r}, got none; start its writer first"
    )
    with pytest.raises(AbsentError):
        Board.open(tmp_path / "nowhere", "target")
    (tmp_path / "file").write_text("")
    with pytest.raises(AbsentError, match="File exists"):
        Board.create(tmp_path / "file", "target")


def test_names_and_sizes_are_checked(tmp_path):
    with pytest.raises(UsageError, match="expected one of state, target"):
        Board.open(tmp_path, "../state")
    with pytest.raises(UsageError, match="expected a directory"):
        Board.open("", "state")
    for name, capacity in (("frame", 0), ("frame", CAPACITY + 1), ("state", 8)):
        with pytest.raises(UsageError, match="capacity"):
            Board.create(tmp_path, name, capacity)
    Board.create(tmp_path, "state").close()  # and the lock was given back


@pytest.mark.parametrize(
    ("field", "value", "error", "said"),
    [
        ("magic", b"RMEDGESN", BoardError, "expected a board, got another file"),
        (
            "version",
            2,
            LayoutError,
            "expected layout version 1, got 2; build both sides with the same rmedge",
        ),
        ("fingerprint", 5, LayoutError, "got 0000000000000005; build both sides with the same rmedge"),
        ("name", b"target", LayoutError, "build both sides"),
        ("slots", 5, BoardError, "expected sizes that agree"),
        ("slots", 0, BoardError, "expected sizes that agree"),
        ("record_size", 1 << 63, BoardError, "expected sizes that agree"),
        ("capacity", 1 << 63, BoardError, "expected sizes that agree"),
        ("reserved", 1, BoardError, "expected sizes that agree"),
    ],
)
def test_a_header_that_is_not_ours_is_refused_by_both(tmp_path, request, field, value, error, said):
    shown(tmp_path).close()
    data = bytearray((tmp_path / "state").read_bytes())
    told = np.frombuffer(data, HEADER, 1)
    told[field] = value
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(error, match=re.escape(said)):
        Board.open(tmp_path, "state")
    with shown(tmp_path), Board.open(tmp_path, "state") as reader:  # a writer replaces what is left behind
        assert consistent(reader.read(), 1)
    if shutil.which("cc"):
        (tmp_path / "state").write_bytes(data)
        code, complaint = c(request.getfixturevalue("program"), "open", tmp_path, 0)
        assert code == 1
        assert complaint.startswith("-2" if error is LayoutError else "-3")


@pytest.mark.parametrize("kind", ["short", "empty", "long", "link", "fifo", "folder"])
def test_a_file_that_cannot_be_a_board_is_refused(tmp_path, request, kind):
    path = tmp_path / "state"
    shown(tmp_path).close()
    data = path.read_bytes()
    path.unlink()
    if kind in ("short", "empty", "long"):
        path.write_bytes({"short": data[:-8], "empty": b"", "long": data + bytes(8)}[kind])
    elif kind == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises((BoardError, AbsentError)):
        Board.open(tmp_path, "state")
    if shutil.which("cc"):
        assert c(request.getfixturevalue("program"), "open", tmp_path, 0)[0] == 1


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(AbsentError, match="No space left on device"):
            Board.create(tmp_path, "state")
    assert [path.name for path in tmp_path.iterdir()] == ["state.lock"]
    Board.create(tmp_path, "state").close()


def test_an_heir_goes_on_counting_on_the_same_file(tmp_path):
    shown(tmp_path, 5).close()
    with Board.open(tmp_path, "state") as reader:
        assert consistent(reader.read(), 5)
        with shown(tmp_path) as heir:
            assert heir.sequence == 6
            assert not reader.replaced
            assert consistent(reader.read(), 6)


def test_a_frame_of_another_size_is_another_board(tmp_path):
    Board.create(tmp_path, "frame", 300).close()
    with Board.open(tmp_path, "frame") as reader:
        Board.create(tmp_path, "frame", 300).close()
        assert not reader.replaced
        Board.create(tmp_path, "frame", 600).close()
        assert reader.replaced
        assert reader.read() is None  # the old one is still whole: nothing was cut off under its reader
        with Board.open(tmp_path, "frame") as other:
            assert other.capacity == 600 == len(other.record["pixels"])


def test_closing_twice_and_reading_after_it_harms_nobody(tmp_path):
    writer = shown(tmp_path)
    reader = Board.open(tmp_path, "state")
    for board in (reader, writer):
        board.close()
        board.close()
    assert reader.read() is None


def test_home_is_a_users_own():
    assert home().name == f"rmedge-{os.geteuid()}"
    assert home().parent in (Path("/dev/shm"), Path("/tmp"))


# Stamps


AGES = [0, 1, -SKEW_NS, -SKEW_NS - 1, 80_000_000, 80_000_001, -(1 << 62), 1 << 62]
STAMPS = [(5_000_000_000 - age, 5_000_000_000, 80_000_000) for age in AGES]
STAMPS += [(-(1 << 63), 5, 80), ((1 << 63) - 1, 5, 80), (0, 0, 0)]


def test_a_stamp_is_fresh_neither_too_old_nor_of_the_future(program):
    expected = [fresh(*stamp) for stamp in STAMPS]
    assert expected == [True, True, True, False, True, False, False, False, False, False, True]
    told = subprocess.run(
        [str(program), "judge"],
        input="\n".join(" ".join(map(str, stamp)) for stamp in STAMPS),
        capture_output=True,
        text=True,
    )
    assert [line == "1" for line in told.stdout.split()] == expected


def spoiled(name, index, value):
    def spoil(record):
        if index is None:
            record[name] = value
        else:
            record[name][index] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "damp"),
    [
        (spoiled("mode", None, 1), False),
        (spoiled("joint_pos", 29, np.nan), False),  # beyond the robot's joints
        (spoiled("joint_pos", 28, np.nan), True),
        (spoiled("joint_pos", 0, -np.inf), True),
        (spoiled("kp", 0, -1.0), True),
        (spoiled("kp", 3, np.nan), True),
        (spoiled("kd", 3, np.inf), True),
        (spoiled("mode", None, 0), True),
        (spoiled("mode", None, 2), True),
        (spoiled("joints", None, 28), True),
        (spoiled("joints", None, 1 << 31), True),
    ],
)
def test_c_knows_when_to_damp(tmp_path, program, spoil, damp):
    with Board.create(tmp_path, "target") as board:
        board.record["joints"], board.record["mode"], board.record["stamp_ns"] = 29, 1, 5
        spoil(board.record)
        board.publish()
        assert c(program, "damps", tmp_path, 29) == (0, f"{int(damp)}\n")
        assert c(program, "damps", tmp_path, 65) == (0, "1\n")


# C and the documents


def test_the_committed_header_is_the_generated_one():
    path = native.include_dir() / "rmedge_shm.h"
    assert path.read_text(encoding="utf-8") == header.header(), (
        f"{path.name}: expected what its generator gives, got another text; "
        "python -m rmedge.runtimes.native.header > runtimes/native/rmedge_shm.h"
    )


def test_c_lays_records_out_as_python_does(program):
    told = c(program, "layout")[1].splitlines()
    expected = []
    for name in RECORDS:
        record = record_of(name)
        expected += [f"{name} {f} {record.fields[f][1]} {record.fields[f][0].itemsize}" for f in record.names]
    expected.append("sizes " + " ".join(str(record_of(name).itemsize) for name in RECORDS))
    assert told == expected


def test_every_record_has_a_fingerprint_of_its_own():
    assert len({fingerprint(name) for name in RECORDS}) == len(RECORDS)
    assert all(record_of(name).itemsize % 8 == 0 for name in RECORDS)


def test_python_reads_what_c_writes_and_the_reverse(tmp_path, program):
    c(program, "write", tmp_path, 0.02)
    with Board.open(tmp_path, "state") as reader:
        assert consistent(reader.read(), reader.sequence)
        last = reader.sequence
    shown(tmp_path).close()  # goes on where C stopped
    assert c(program, "open", tmp_path, 0) == (0, f"0 1 {last + 1} 0\n")
    c(program, "frame", tmp_path)
    with Board.open(tmp_path, "frame") as reader:
        record = reader.read()
        assert (int(record["number"]), int(record["width"]), int(record["height"])) == (7, 5, 3)
        np.testing.assert_array_equal(record["pixels"], np.arange(45))


def test_the_header_is_good_cxx_too(tmp_path):
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler on this machine")
    (tmp_path / "main.cc").write_text('#include "rmedge_shm.h"\nint main() { return 0; }\n')
    flags = ["-Wall", "-Wextra", "-Werror", "-std=c++11", "-fsyntax-only", f"-I{native.include_dir()}"]
    done = subprocess.run([compiler, *flags, str(tmp_path / "main.cc")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_documents_show_every_field():
    page = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
    for name in RECORDS:
        record = record_of(name)
        assert f"### `{name}`, {record.itemsize} bytes" in page
        for field, kind, shape, meaning in RECORDS[name]:
            extent = "".join("[capacity]" if n < 0 else f"[{n}]" for n in shape)
            assert f"| {record.fields[field][1]} | `{field}` | {kind}{extent} | {meaning} |" in page
    for field in HEADER.names:
        assert f"| {HEADER.fields[field][1]} | `{field}` |" in page
