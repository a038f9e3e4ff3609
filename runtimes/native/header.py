"""Write ``rmedge_shm.h``: the boards' layout as C, from its one definition in Python.

``python -m rmedge.runtimes.native.header > runtimes/native/rmedge_shm.h``
"""

from __future__ import annotations

import re
import sys
from typing import Iterator

from rmedge.runtimes.boards import INTENT, MAX_JOINTS, RECORDS, SKEW_NS, TEXT, VERSION, Mode, Verb
from rmedge.runtimes.boards.files import HEADER, MAGIC, SLOTS
from rmedge.runtimes.boards.records import CAPACITY, fingerprint, offset_of, record_of
from rmedge.runtimes.native import include_dir
from rmedge.states import Count, State

__all__ = ["header", "layout"]

_TYPES = {"i8": "int64_t", "u8": "uint64_t", "u4": "uint32_t", "u1": "uint8_t", "f8": "double", "f4": "float"}
_MARK = "/* @LAYOUT@ */\n"


def header() -> str:
    """The text of the header: the functions as they are written in C, around the generated layout."""
    functions = (include_dir() / "rmedge_shm.h.in").read_text(encoding="utf-8")
    before, after = functions.split(_MARK)
    return before + "\n".join(layout()) + "\n" + after


def layout() -> Iterator[str]:
    """Lines of C: constants, records, and the assertions that a compiler must agree with."""
    yield f'#define RMEDGE_MAGIC "{MAGIC.decode()}"'
    figures = {"VERSION": VERSION, "SLOTS": SLOTS, "MAX_JOINTS": MAX_JOINTS, "INTENT": INTENT, "TEXT": TEXT}
    for name, value in {**figures, "CAPACITY": CAPACITY, "SKEW_NS": SKEW_NS}.items():
        yield f"#define RMEDGE_{name} {value}"
    for enum in (Mode, Verb, State, Count):
        yield f"\ntypedef enum {{ /* {_first(enum.__doc__)} */"
        yield from (f"    RMEDGE_{enum.__name__.upper()}_{one.name} = {one.value}," for one in enum)
        yield f"    RMEDGE_{enum.__name__.upper()}S = {len(enum)}\n}} rmedge_{enum.__name__.lower()}_name;"
    yield "\ntypedef enum {"
    yield from (f"    RMEDGE_BOARD_{name.upper()} = {index}," for index, name in enumerate(RECORDS))
    yield f"    RMEDGE_BOARDS = {len(RECORDS)}\n}} rmedge_board_name;"
    for name in RECORDS:
        yield from _record(name)
    yield "\ntypedef struct {"
    for field in HEADER.names or ():
        kind = HEADER[field].str.lstrip("<|")
        yield f"    {_type(kind)} {field}{_extent(kind, ())};"
    yield "} rmedge_header;"
    yield f"RMEDGE_ASSERT(sizeof_header, sizeof(rmedge_header) == {HEADER.itemsize});"
    for field in HEADER.names or ():
        yield _offset("header", field, offset_of(HEADER, field))
    yield "\nstatic const struct {"
    yield "    const char *name;\n    uint64_t fingerprint, record_size; /* without a frame's pixels */"
    yield "} rmedge_layouts[RMEDGE_BOARDS] = {"
    for name in RECORDS:
        yield f'    {{"{name}", 0x{fingerprint(name):016x}u, {record_of(name).itemsize}}},'
    yield "};"


def _record(name: str) -> Iterator[str]:
    record = record_of(name)
    yield "\ntypedef struct {"
    for field, kind, shape, meaning in RECORDS[name]:
        yield f"    {_type(kind)} {field}{_extent(kind, shape)}; /* {meaning} */"
    yield f"}} rmedge_{name};"
    yield f"RMEDGE_ASSERT(sizeof_{name}, sizeof(rmedge_{name}) == {record.itemsize});"
    for field, _, _, _ in RECORDS[name]:
        yield _offset(name, field, offset_of(record, field))


def _offset(name: str, field: str, offset: int) -> str:
    return f"RMEDGE_ASSERT({name}_{field}, offsetof(rmedge_{name}, {field}) == {offset});"


def _type(kind: str) -> str:
    return "char" if kind[0] == "S" else _TYPES[kind]


def _extent(kind: str, shape: tuple[int, ...]) -> str:
    sizes = (*shape, *([int(kind[1:])] if kind[0] == "S" else []))
    return "".join("[]" if size < 0 else f"[{size}]" for size in sizes)


def _first(text: str | None) -> str:
    return re.split(r"\n", text or "")[0]


if __name__ == "__main__":
    sys.stdout.write(header())
