"""The configuration: ranks of the layers, all faults at once, sizes, secrets, text."""

import tomllib
from pathlib import Path

import pytest

from core.limits import Limits as CoreLimits
from tools.config import (
    Config,
    ConfigFaults,
    Limits,
    format_quantity,
    is_loopback,
    parse_address,
    parse_quantity,
)
from tools.config_layers import Given, decode, keys, load
from tools.config_limits import PROFILES, resolve
from tools.config_text import COMMENTS, initial, schema, show
from tools.secret import resolve as resolve_secret


def _faults(path: Path | None, flags: dict[str, str], environment: dict[str, str]) -> list[str]:
    named = {key: (f"--{key}", text) for key, text in flags.items()}
    with pytest.raises(ConfigFaults) as raised:
        load(path, named, environment)
    return [str(fault) for fault in raised.value.faults]


def test_flag_wins_over_environment_wins_over_file_wins_over_default(tmp_path: Path) -> None:
    path = tmp_path / "outcry.toml"
    path.write_text('[journal]\nspares = 3\ndurability = "relaxed"\nsegment_bytes = "8MiB"\n')
    environment = {"OUTCRY__JOURNAL__SPARES": "4", "OUTCRY__JOURNAL__SEGMENT_BYTES": "16MiB"}
    loaded = load(path, {"journal.spares": ("--spares", "5")}, environment)
    assert loaded.config.journal.spares == 5
    assert loaded.config.journal.segment_bytes == 16 << 20
    assert loaded.config.journal.durability == "relaxed"
    assert loaded.config.core.idle == "hybrid"
    assert loaded.origins["journal.spares"] == "--spares"
    assert loaded.origins["journal.segment_bytes"] == "OUTCRY__JOURNAL__SEGMENT_BYTES"
    assert loaded.origins["journal.durability"] == f"{path}:3"
    assert loaded.origins["core.idle"] == "default"


def test_every_fault_of_every_layer_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "outcry.toml"
    path.write_text(
        'x = 3\n[htpp]\nlisten = "a"\n[http]\nlisen = "b"\nworkers = "3"\nrequest_timeout = 5\n'
        '[journal]\nsegment_bytes = "64 megs"\nspares = 0\ndurability = "fast"\n'
    )
    found = _faults(path, {"core.idle": "nap"}, {"OUTCRY__LIMITS__ORDERS_MAX": "ten"})
    assert found == [
        f"{path}:1: x: expected a section [x], got a value",
        f"{path}:3: htpp.listen: no such section; did you mean [http]?",
        f"{path}:5: http.lisen: no such key; did you mean http.listen?",
        f"{path}:6: http.workers: expected int, got '3'",
        f'{path}:7: http.request_timeout: expected a text with a unit, such as "250ms", got 5',
        f"{path}:9: journal.segment_bytes: expected a number with one of the units "
        "B, KiB, MiB, GiB, got '64 megs'",
        f"{path}:10: journal.spares: expected int >= 1, got 0",
        f"{path}:11: journal.durability: expected one of sync, relaxed, got 'fast'",
        "OUTCRY__LIMITS__ORDERS_MAX: limits.orders_max: expected int, got 'ten'",
        "--core.idle: core.idle: expected one of spin, hybrid, block, got 'nap'",
    ]


def test_a_named_file_must_exist_and_the_default_one_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _faults(tmp_path / "none.toml", {}, {}) == [
        f"{tmp_path / 'none.toml'}: file: no such file"
    ]
    monkeypatch.chdir(tmp_path)
    assert load(None, {}, {}).config == Config()


def test_a_file_that_is_no_toml_is_one_fault(tmp_path: Path) -> None:
    path = tmp_path / "outcry.toml"
    path.write_text("[http\n")
    assert _faults(path, {}, {})[0].startswith(f"{path}: file: is no TOML")


@pytest.mark.parametrize(
    ("listen", "is_refused"),
    [("127.0.0.1:8080", False), ("[::1]:80", False), ("localhost:1", False), ("0.0.0.0:1", True)],
)
def test_dev_is_refused_on_an_address_that_others_reach(listen: str, is_refused: bool) -> None:
    flags = {"dev.enabled": ("--dev", "true"), "http.listen": ("--http", listen)}
    if is_refused:
        with pytest.raises(ConfigFaults, match=r"--http: http.listen: expected a loopback"):
            load(None, flags, {})
    else:
        assert load(None, flags, {}).config.dev.enabled


@pytest.mark.parametrize("text", ["8080", ":8080", "host:", "host:x", "host:65536", "h:-1"])
def test_an_address_is_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        parse_address(text)
    assert not is_loopback("example")


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("64MiB", "bytes", 64 << 20),
        ("4096", "bytes", 4096),
        ("1.5 KiB", "bytes", 1536),
        ("250ms", "ns", 250_000_000),
        ("0.5s", "ns", 500_000_000),
    ],
)
def test_sizes_and_durations_have_units(text: str, unit: str, value: int) -> None:
    assert parse_quantity(text, unit) == value
    assert parse_quantity(format_quantity(value, unit), unit) == value


@pytest.mark.parametrize(
    ("text", "unit"), [("5", "ns"), ("0.3ns", "ns"), ("-1s", "ns"), ("", "ns")]
)
def test_a_duration_without_unit_or_below_one_unit_is_refused(text: str, unit: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_quantity(text, unit)


def test_the_section_limits_has_the_limits_of_the_core() -> None:
    assert ("profile", *CoreLimits._fields) == Limits.__struct_fields__


def test_limits_are_the_profile_and_what_differs_from_it() -> None:
    flags = {"limits.profile": ("a", "small"), "limits.orders_max": ("b", "100")}
    assert resolve(load(None, flags, {})) == PROFILES["small"]._replace(orders_max=100)
    for name, limits in PROFILES.items():
        assert resolve(load(None, {"limits.profile": ("a", name)}, {})) == limits


def test_limits_that_do_not_fit_together_name_their_origin() -> None:
    loaded = load(None, {"limits.ids_max": ("--ids", "10")}, {})
    with pytest.raises(ConfigFaults, match=r"^--ids: limits.ids_max: expected at least orders_max"):
        resolve(loaded)


def test_the_initial_file_is_valid_and_says_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "outcry.toml"
    path.write_text(initial())
    assert load(path, {}, {}).config == Config()
    bare = [line.removeprefix("# ") for line in initial().splitlines() if "…" not in line]
    active = [line for line in bare if line[:1] == "[" or (" = " in line and line[0].islower())]
    path.write_text("\n".join(active))
    assert load(path, {}, {}).config == Config()


def test_every_key_has_a_comment() -> None:
    missing = [key for key in keys() if key not in COMMENTS and not key.startswith("limits.")]
    assert missing == []


def test_show_can_be_loaded_again(tmp_path: Path) -> None:
    loaded = load(None, {"http.workers": ("--workers", "2")}, {})
    path = tmp_path / "outcry.toml"
    path.write_text(show(loaded, with_origin=True))
    assert load(path, {}, {}).config == loaded.config
    assert "workers = 2  # --workers" in path.read_text()
    assert tomllib.loads(show(loaded, with_origin=False))["http"]["workers"] == 2


def test_the_schema_lets_sizes_be_text() -> None:
    fields = schema()["$defs"]["Journal"]["properties"]
    assert fields["segment_bytes"]["type"] == ["integer", "string"]


def test_later_values_win_within_a_layer() -> None:
    given = [Given("log.level", "info", "a", is_text=True), Given("log.level", "error", "b", True)]
    assert decode(Config, given, []).config.log.level == "error"


def test_secrets_are_read_by_reference(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")
    assert resolve_secret("env:KEY", {"KEY": "from a variable"}) == "from a variable"
    assert resolve_secret(f"file:{tmp_path / 'key'}") == "from a file"
    assert resolve_secret("cmd:echo from a command") == "from a command"


@pytest.mark.parametrize(
    "reference", ["hunter2", "env:", "env:NONE", "file:/nonexistent", "cmd:false", "cmd:true"]
)
def test_a_secret_that_cannot_be_had_is_not_shown(reference: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        resolve_secret(reference, {})
    assert "hunter2" not in str(raised.value)
