"""A load of HTTP requests that costs little itself: one compiled loop over keep-alive connections.

A request is made ready once per connection; sent again, only the digits of its client order id
change.  Of an answer the loop reads status and Content-Length, no more.  Closed loop: a connection
sends its next request when it has its answer, so a server that stalls is asked less, and its
percentiles look better than those of an open loop.
"""

import errno
import select
import socket
import time
from typing import Any, Final, NamedTuple

import numpy as np

from core.jit import kernel
from core.layout import record
from core.libc import (
    EPOLL_DATA_AT,
    EPOLL_EVENT_BYTES,
    clock_monotonic_ns,
    epoll_wait,
    read,
    write,
)
from core.memory import load_i32, load_i64, load_u8, pointer, store_i64, store_u8

DIGITS: Final = 12  # Of a client order id.
DIGITS_MARK: Final = b"0" * DIGITS
BUFFER_BYTES: Final = 16_384  # An answer is smaller.
EVENTS_MAX: Final = 256
WAIT_MS: Final = 10_000  # No answer on any connection for so long: the server is stuck.
STATUS_AT: Final = 9  # Behind 'HTTP/1.1 '.
_LENGTH_NAME: Final = b"content-length: "
_CLOSED: Final = -errno.ECONNRESET
_STUCK: Final = -errno.ETIMEDOUT
_FULL: Final = -errno.EMSGSIZE
_INTERRUPTED: Final = -errno.EINTR

LOAD: Final = record(
    "what one run sends and has seen",
    192,
    [
        ("epoll", "<i8"),
        ("events", "<i8"),  # Addresses.
        ("connections", "<i8"),
        ("samples", "<i8"),
        ("length_name", "<i8"),
        ("numbers", "<i8"),  # Of connections, by descriptor.
        ("connection_count", "<i8"),
        ("request_bytes", "<i8"),
        ("digits_at", "<i8"),  # Of the id, in a request.
        ("next_id", "<i8"),
        ("end_id", "<i8"),  # At most up to this one,
        ("until_ns", "<i8"),  # and until then.
        ("status", "<i8"),  # Expected.
        ("answered", "<i8"),
        ("others", "<i8"),  # Answers of another status,
        ("other_status", "<i8"),  # the last of them.
        ("began_ns", "<i8"),
        ("ended_ns", "<i8"),
        ("failed", "<i8"),  # Minus errno, or 0.
        ("reserved", "<i8", (5,)),
    ],
)
CONNECTION: Final = record(
    "one connection",
    64,
    [
        ("fd", "<i8"),
        ("request", "<i8"),  # Addresses.
        ("buffer", "<i8"),
        ("have", "<i8"),  # Bytes of the answer.
        ("sent_ns", "<i8"),
        ("reserved", "<i8", (3,)),
    ],
)
CONNECTION_BYTES: Final = CONNECTION.itemsize

_at_load = pointer(LOAD)
_at_connection = pointer(CONNECTION)


@kernel
def write_digits(address: int, number: int) -> None:
    """``number`` as DIGITS decimal digits."""
    for place in range(DIGITS - 1, -1, -1):
        store_u8(address + place, 48 + number % 10)
        number //= 10


@kernel
def answer_bytes(buffer: int, have: int, length_name: int) -> int:
    """Size of the answer at ``buffer`` when all of it is there, else 0."""
    length = -1
    for place in range(have - 3):
        if load_u8(buffer + place) != 13 or load_u8(buffer + place + 1) != 10:
            continue
        line = buffer + place + 2
        if load_u8(line) == 13:
            total = place + 4 + length
            return total if length >= 0 and total <= have else 0
        at = 0
        while at < 16 and load_u8(line + at) | 32 == load_u8(length_name + at):
            at += 1
        if at == 16:
            length = 0
            digit = load_u8(line + at) - 48
            while 0 <= digit <= 9:
                length = length * 10 + digit
                at += 1
                digit = load_u8(line + at) - 48
    return 0


@kernel
def _send(load: int, number: int) -> int:
    """Send the next request on a connection; 1 when there was one to send."""
    row = _at_load(load)
    connection = _at_connection(row.connections + number * CONNECTION_BYTES)
    now_ns = clock_monotonic_ns()
    if row.next_id >= row.end_id or now_ns >= row.until_ns:
        return 0
    write_digits(connection.request + row.digits_at, row.next_id)
    row.next_id += 1
    connection.have = 0
    connection.sent_ns = now_ns
    done = write(connection.fd, connection.request, row.request_bytes)
    if done != row.request_bytes:
        row.failed = done if done < 0 else _FULL
    return 1


@kernel
def _receive(load: int, number: int) -> int:
    """Take what has come on a connection; 1 when its answer is complete."""
    row = _at_load(load)
    connection = _at_connection(row.connections + number * CONNECTION_BYTES)
    buffer = connection.buffer
    done = read(connection.fd, buffer + connection.have, BUFFER_BYTES - connection.have)
    if done <= 0:
        row.failed = done if done < 0 else _CLOSED
        return 0
    connection.have += done
    if answer_bytes(buffer, connection.have, row.length_name) == 0:
        if connection.have == BUFFER_BYTES:
            row.failed = _FULL
        return 0
    store_i64(row.samples + 8 * row.answered, clock_monotonic_ns() - connection.sent_ns)
    row.answered += 1
    digits = buffer + STATUS_AT
    status = (load_u8(digits) - 48) * 100 + (load_u8(digits + 1) - 48) * 10
    status += load_u8(digits + 2) - 48
    if status != row.status:
        row.others += 1
        row.other_status = status
    return 1


@kernel
def closed_loop(load: int) -> None:
    """Keep one request on its way on every connection until the end, then take the last answers."""
    row = _at_load(load)
    row.began_ns = clock_monotonic_ns()
    waiting = 0
    for number in range(row.connection_count):
        waiting += _send(load, number)
    while waiting > 0 and row.failed == 0:
        ready = epoll_wait(row.epoll, row.events, EVENTS_MAX, WAIT_MS)
        if ready == _INTERRUPTED:
            continue
        if ready <= 0:
            row.failed = ready if ready < 0 else _STUCK
        for place in range(ready):
            fd = load_i32(row.events + place * EPOLL_EVENT_BYTES + EPOLL_DATA_AT)
            number = load_i64(row.numbers + 8 * fd)
            if _receive(load, number) == 1:
                waiting += _send(load, number) - 1
    row.ended_ns = clock_monotonic_ns()


@kernel
def respond(load: int, answer: int, size: int) -> None:
    """The least a server can do: the same bytes for every request, until a client goes away."""
    row = _at_load(load)
    while True:
        ready = epoll_wait(row.epoll, row.events, EVENTS_MAX, -1)
        if ready <= 0 and ready != _INTERRUPTED:
            return
        for place in range(ready):
            fd = load_i32(row.events + place * EPOLL_EVENT_BYTES + EPOLL_DATA_AT)
            number = load_i64(row.numbers + 8 * fd)
            connection = _at_connection(row.connections + number * CONNECTION_BYTES)
            done = read(fd, connection.buffer, BUFFER_BYTES)
            if done <= 0:
                return
            connection.have += done
            if connection.have >= row.request_bytes:
                connection.have -= row.request_bytes
                write(fd, answer, size)


class Seen(NamedTuple):
    """What one run saw."""

    answered: int
    seconds: float
    cpu_s: float  # Of the generator.
    samples_ns: "np.ndarray[Any, Any]"


class Lines:
    """Connections, and the memory that the compiled loops work on."""

    def __init__(self, sockets: list[socket.socket], request: bytes) -> None:
        """``request`` has DIGITS_MARK once, where the digits of the id go."""
        count = len(sockets)
        self._sockets = sockets
        self._epoll = select.epoll()
        self._connections = np.zeros(count, CONNECTION)
        self._requests = np.tile(np.frombuffer(request, np.uint8), (count, 1))
        self._buffers = np.zeros((count, BUFFER_BYTES), np.uint8)
        self._events = np.zeros(EVENTS_MAX * EPOLL_EVENT_BYTES, np.uint8)
        self._name = np.frombuffer(_LENGTH_NAME, np.uint8).copy()
        self._numbers = np.zeros(max(end.fileno() for end in sockets) + 1, np.int64)
        for number, end in enumerate(sockets):
            end.settimeout(0.0)
            if end.family == socket.AF_INET:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            row = self._connections[number]
            row["fd"] = end.fileno()
            row["request"] = self._requests[number].ctypes.data
            row["buffer"] = self._buffers[number].ctypes.data
            self._numbers[end.fileno()] = number
            self._epoll.register(end.fileno(), select.EPOLLIN)
        self._load = np.zeros(1, LOAD)
        self.address = int(self._load.ctypes.data)
        self.row = row = self._load[0]
        row["epoll"], row["connection_count"] = self._epoll.fileno(), count
        row["connections"], row["numbers"] = _at(self._connections), _at(self._numbers)
        row["events"], row["length_name"] = _at(self._events), _at(self._name)
        row["request_bytes"] = len(request)

    def close(self) -> None:
        """Close the connections."""
        self._epoll.close()
        for end in self._sockets:
            end.close()

    def closed(self, first_id: int, count: int, seconds: float, status: int) -> Seen:
        """Run ``closed_loop``; RuntimeError when an answer has another status or none comes."""
        samples = np.zeros(count, np.int64)
        row = self.row
        row["samples"], row["status"] = _at(samples), status
        row["digits_at"] = bytes(self._requests[0]).index(DIGITS_MARK)
        row["next_id"], row["end_id"] = first_id, first_id + count
        count_open, row["connection_count"] = int(row["connection_count"]), 0
        closed_loop(self.address)  # Compiled, if it was not.
        row["connection_count"] = count_open
        row["until_ns"] = time.monotonic_ns() + int(seconds * 1e9)
        begun = time.process_time()
        closed_loop(self.address)
        cpu_s = time.process_time() - begun
        answered = int(row["answered"])
        if row["failed"]:
            code = -int(row["failed"])
            raise RuntimeError(
                f"after {answered} answers: {errno.errorcode.get(code, code)} on a connection"
            )
        if row["others"]:
            raise RuntimeError(
                f"expected status {status} in all of {answered} answers; {int(row['others'])} had "
                f"another, such as {int(row['other_status'])}"
            )
        if row["next_id"] - first_id != answered or not answered:
            raise RuntimeError(f"{row['next_id'] - first_id} sent, {answered} answered")
        taken_s = float(row["ended_ns"] - row["began_ns"]) / 1e9
        return Seen(answered, taken_s, cpu_s, samples[:answered])


def _at(array: "np.ndarray[Any, Any]") -> int:
    return int(array.ctypes.data)
