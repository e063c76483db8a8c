"""Interpreter, packages, kernels, configuration."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.tools.doctor.ground import expect, ground
from tools.doctor import toolchain
from tools.doctor.where import Interpreter, this_interpreter


def test_python_is_new_enough_and_has_the_gil(tmp_path: Path) -> None:
    expect(toolchain.python, ground(tmp_path), "ok", sys.executable)
    old = ground(tmp_path, interpreter=Interpreter((3, 10, 14), True, "python3"))
    expect(toolchain.python, old, "fail", "3.10.14", "make setup PYTHON=")
    free = ground(tmp_path, interpreter=Interpreter((3, 14, 0), False, "python3.14t"))
    expect(toolchain.python, free, "fail", "without the GIL", "ordinary build")
    assert this_interpreter().version == sys.version_info[:3]


def test_a_package_that_is_missing_or_another_version_is_named(tmp_path: Path) -> None:
    where = ground(tmp_path)
    expect(toolchain.packages, where, "ok", f"numba {version('numba')}")
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==0.0.1 \\\n    --hash=sha256:00\n")
    found = toolchain.packages(where, lock)
    assert (found.verdict, found.mend) == ("warn", "make setup")
    assert f"numpy {version('numpy')} (locked: 0.0.1)" in found.found
    found = toolchain.packages(where, lock, ("numpy", "no-such-package"))
    assert (found.verdict, found.found) == ("fail", "not installed: no-such-package")


def test_uvloop_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(toolchain.uvloop, ground(tmp_path), "ok", version("uvloop"))
    monkeypatch.setitem(sys.modules, "uvloop", None)
    expect(toolchain.uvloop, ground(tmp_path), "fail", "no adapter starts", "make setup")


def test_a_cold_cache_and_one_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ground(tmp_path)
    where.__dict__["is_warm"] = True
    expect(toolchain.kernels, where, "ok", "compiled")
    monkeypatch.setenv("OUTCRY_CACHE", str(tmp_path / "cache"))
    expect(toolchain.kernels, ground(tmp_path), "warn", "not compiled", "outcry compile")
    monkeypatch.setattr(toolchain, "is_writable", lambda _: False)
    expect(toolchain.kernels, ground(tmp_path), "fail", f"{tmp_path} cannot be", "OUTCRY_CACHE")


def test_every_fault_of_the_configuration_is_told_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    expect(toolchain.configuration, ground(tmp_path), "ok", "3 keys are set")
    where = ground(tmp_path, settings={"core.idle": "nap", "http.workers": "0"})
    expect(toolchain.configuration, where, "fail", "core.idle: expected one of", "config check")
    expect(toolchain.configuration, where, "fail", "http.workers: expected", "config check")
    assert where.config.core.idle == "hybrid"
    assert where.config.limits.profile == "small"
    narrow = ground(tmp_path, settings={"limits.ids_max": "1"})
    expect(toolchain.configuration, narrow, "fail", "limits do not fit", "config check")


def test_every_check_is_run() -> None:
    names = ("configuration", "python", "packages", "uvloop", "kernels")
    assert tuple(check.__name__ for check in toolchain.CHECKS) == names
