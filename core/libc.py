"""System calls from compiled code: what the duty cycle and the journal need, and no more.

Each function returns an int64: the result of the call, or minus errno.  The symbols are declared by
name in the compiled code and bound when it is loaded, so kernels that use them stay cacheable.
Addresses are plain integers.  In plain Python mode each function has a twin over ctypes.
"""

import ctypes
import os
import platform
from typing import Any, Final

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

POLLIN: Final = 1
CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1
NS_PER_S: Final = 1_000_000_000
# struct epoll_event { uint32_t events; uint64_t data; } is packed on x86-64 only.
EPOLL_EVENT_BYTES: Final = 12 if platform.machine() == "x86_64" else 16
EPOLL_DATA_AT: Final = EPOLL_EVENT_BYTES - 8

if numba.config.DISABLE_JIT:
    _LIBC: Final = ctypes.CDLL(None, use_errno=True)
    _LIBC.pwrite.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
    _LIBC.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    _LIBC.read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    _LIBC.epoll_wait.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    for _symbol in ("pwrite", "write", "read"):
        getattr(_LIBC, _symbol).restype = ctypes.c_ssize_t

    class _Timespec(ctypes.Structure):
        _fields_ = (("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64))

    class _PollFd(ctypes.Structure):
        _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))

    def _result(done: int) -> int:
        return int(done) if done >= 0 else -ctypes.get_errno()

    def pwrite(fd: int, address: int, count: int, offset: int) -> int:
        return _result(_LIBC.pwrite(fd, address, count, offset))

    def write(fd: int, address: int, count: int) -> int:
        return _result(_LIBC.write(fd, address, count))

    def read(fd: int, address: int, count: int) -> int:
        return _result(_LIBC.read(fd, address, count))

    def fdatasync(fd: int) -> int:
        return _result(_LIBC.fdatasync(fd))

    def poll_readable(fd: int, timeout_ms: int) -> int:
        entry = _PollFd(fd, POLLIN, 0)
        return _result(_LIBC.poll(ctypes.byref(entry), 1, timeout_ms))

    def epoll_wait(epoll: int, events: int, count: int, timeout_ms: int) -> int:
        return _result(_LIBC.epoll_wait(epoll, events, count, timeout_ms))

    def _clock_ns(clock: int) -> int:
        now = _Timespec()
        done = _result(_LIBC.clock_gettime(clock, ctypes.byref(now)))
        return done if done < 0 else int(now.seconds) * NS_PER_S + int(now.nanoseconds)

    def clock_realtime_ns() -> int:
        return _clock_ns(CLOCK_REALTIME)

    def clock_monotonic_ns() -> int:
        return _clock_ns(CLOCK_MONOTONIC)

    def nanosleep(duration_ns: int) -> int:
        wish = _Timespec(duration_ns // NS_PER_S, duration_ns % NS_PER_S)
        return _result(_LIBC.nanosleep(ctypes.byref(wish), None))

    def sched_yield() -> int:
        return _result(_LIBC.sched_yield())

    def getpid() -> int:
        return os.getpid()

    def exit_now(code: int) -> int:
        os._exit(code)

else:
    _I32: Final = ir.IntType(32)
    _I64: Final = ir.IntType(64)

    def _call(builder: Any, symbol: str, arguments: list[Any], result: Any) -> Any:
        """Call ``symbol``; its result widened to a word, or minus errno when it is negative."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(builder.module, kind, symbol)
        done = builder.call(function, arguments)
        if result != _I64:
            done = builder.sext(done, _I64)
        place = ir.FunctionType(_I32.as_pointer(), [])
        location = cgutils.get_or_insert_function(builder.module, place, "__errno_location")
        errno = builder.sext(builder.load(builder.call(location, [])), _I64)
        failed = builder.icmp_signed("<", done, ir.Constant(_I64, 0))
        return builder.select(failed, builder.neg(errno), done)

    def _timespec(builder: Any) -> tuple[Any, Any, Any]:
        """A struct timespec on the stack; (its address, address of seconds, of nanoseconds)."""
        room = cgutils.alloca_once(builder, ir.ArrayType(_I64, 2))
        parts = [builder.gep(room, [_I32(0), _I32(index)]) for index in (0, 1)]
        return builder.ptrtoint(room, _I64), parts[0], parts[1]

    @intrinsic
    def pwrite(typing: Any, fd: Any, address: Any, count: Any, offset: Any) -> Any:
        """Write ``count`` bytes from ``address`` at ``offset``; bytes written or minus errno."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, "pwrite", [builder.trunc(args[0], _I32), *args[1:]], _I64)

        return types.int64(types.int64, types.int64, types.int64, types.int64), lower

    @intrinsic
    def write(typing: Any, fd: Any, address: Any, count: Any) -> Any:
        """Write ``count`` bytes from ``address``; bytes written or minus errno."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, "write", [builder.trunc(args[0], _I32), *args[1:]], _I64)

        return types.int64(types.int64, types.int64, types.int64), lower

    @intrinsic
    def read(typing: Any, fd: Any, address: Any, count: Any) -> Any:
        """Read up to ``count`` bytes to ``address``; bytes read or minus errno."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, "read", [builder.trunc(args[0], _I32), *args[1:]], _I64)

        return types.int64(types.int64, types.int64, types.int64), lower

    @intrinsic
    def fdatasync(typing: Any, fd: Any) -> Any:
        """Make the data of a file durable; 0 or minus errno."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, "fdatasync", [builder.trunc(args[0], _I32)], _I32)

        return types.int64(types.int64), lower

    @intrinsic
    def poll_readable(typing: Any, fd: Any, timeout_ms: Any) -> Any:
        """Wait until ``fd`` is readable: 1, after ``timeout_ms`` 0, or minus errno."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            # struct pollfd { int fd; short events; short revents; } as one little-endian word.
            entry = cgutils.alloca_once(builder, _I64)
            low = builder.and_(args[0], ir.Constant(_I64, 0xFFFF_FFFF))
            builder.store(builder.or_(low, ir.Constant(_I64, POLLIN << 32)), entry)
            arguments = [
                builder.ptrtoint(entry, _I64),
                ir.Constant(_I64, 1),
                builder.trunc(args[1], _I32),
            ]
            return _call(builder, "poll", arguments, _I32)

        return types.int64(types.int64, types.int64), lower

    @intrinsic
    def epoll_wait(typing: Any, epoll: Any, events: Any, count: Any, timeout_ms: Any) -> Any:
        """Wait for descriptors that are ready: how many of at most ``count`` events of
        EPOLL_EVENT_BYTES were written to ``events``; after ``timeout_ms`` 0, or minus errno."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            narrow = [builder.trunc(args[place], _I32) for place in (0, 2, 3)]
            arguments = [narrow[0], args[1], narrow[1], narrow[2]]
            return _call(builder, "epoll_wait", arguments, _I32)

        return types.int64(types.int64, types.int64, types.int64, types.int64), lower

    def _clock(clock: int) -> Any:
        def now_ns(typing: Any) -> Any:
            def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                address, seconds, nanoseconds = _timespec(builder)
                _call(builder, "clock_gettime", [ir.Constant(_I32, clock), address], _I32)
                whole = builder.mul(builder.load(seconds), ir.Constant(_I64, NS_PER_S))
                return builder.add(whole, builder.load(nanoseconds))

            return types.int64(), lower

        return intrinsic(now_ns)

    clock_realtime_ns = _clock(CLOCK_REALTIME)
    clock_monotonic_ns = _clock(CLOCK_MONOTONIC)

    @intrinsic
    def nanosleep(typing: Any, duration_ns: Any) -> Any:
        """Sleep; 0, or minus EINTR when a signal came."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            address, seconds, nanoseconds = _timespec(builder)
            unit = ir.Constant(_I64, NS_PER_S)
            builder.store(builder.sdiv(args[0], unit), seconds)
            builder.store(builder.srem(args[0], unit), nanoseconds)
            return _call(builder, "nanosleep", [address, ir.Constant(_I64, 0)], _I32)

        return types.int64(types.int64), lower

    @intrinsic
    def sched_yield(typing: Any) -> Any:
        """Let another thread run on this CPU."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, "sched_yield", [], _I32)

        return types.int64(), lower

    @intrinsic
    def getpid(typing: Any) -> Any:
        """The id of this process."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _call(builder, "getpid", [], _I32)

        return types.int64(), lower

    @intrinsic
    def exit_now(typing: Any, code: Any) -> Any:
        """End the process at once, without any clean-up; does not return."""

        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(ir.VoidType(), [_I32])
            function = cgutils.get_or_insert_function(builder.module, kind, "_exit")
            builder.call(function, [builder.trunc(args[0], _I32)])
            return ir.Constant(_I64, 0)

        return types.int64(types.int64), lower
