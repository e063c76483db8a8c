"""Bad input: 4xx, every fault named at once, nothing sent to the core, never a traceback."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.body import BODY_BYTES_MAX, may_repeat_keys
from tests.adapters.http.conftest import ORDER, Client
from tests.adapters.http.fake_gateway import FakeGateway


def body_of(**changes: Any) -> bytes:
    return json.dumps(ORDER | changes).encode()


GOOD = body_of()[1:-1]
MALFORMED = {
    "nothing": b"",
    "space": b"  \n",
    "not json": b"hello",
    "cut": body_of()[:-1],
    "two objects": body_of() + body_of(),
    "array": b"[" + body_of() + b"]",
    "number": b"1",
    "string": b'"x"',
    "null": b"null",
    "single quotes": b"{'a': 1}",
    "trailing comma": b"{" + GOOD + b",}",
    "comment": b"{" + GOOD + b"/* x */}",
    "invalid utf-8": b'{"instrument": "\xff\xfe"}',
    "utf-16": body_of().decode().encode("utf-16"),
    "bom": b"\xef\xbb\xbf" + body_of(),
    "deep array": b'{"tag": ' + b"[" * 33 + b"]" * 33 + b"}",
    "very deep": b'{"tag": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "very deep objects": b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    "control character": b'{"instrument": "a\nb"}',
    "huge integer": b'{"expire_after_ts": ' + b"9" * 60_000 + b"}",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_json_object_is_malformed(
    client: Client, gateway: FakeGateway, name: str
) -> None:
    reply = await client.raw(MALFORMED[name])

    assert reply.status in (400, 422)
    assert reply.status == 400 or name == "huge integer"
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert not gateway.sent


FAULTS: list[tuple[bytes, set[tuple[str, str]]]] = [
    (b"{" + GOOD + b',"price":"1"}', {("/price", "duplicate_key")}),
    (b"{" + GOOD + b',"pr\\u0069ce":"1"}', {("/price", "duplicate_key")}),
    (b"{" + GOOD + b',"price"\n\t:null}', {("/price", "duplicate_key")}),
    (b'{"qty":NaN,' + GOOD + b"}", {("/qty", "duplicate_key")}),
    (body_of(qty=float("nan")), {("/qty", "wrong_type")}),
    (body_of(qty=float("inf")), {("/qty", "wrong_type")}),
    (body_of(price=70150.5, qty=1), {("/price", "wrong_type"), ("/qty", "wrong_type")}),
    (body_of(price=True), {("/price", "wrong_type")}),
    (body_of(side=["buy"]), {("/side", "wrong_type")}),
    (body_of(instrument={"a": 1}), {("/instrument", "wrong_type")}),
    (body_of(post_only="false"), {("/post_only", "wrong_type")}),
    (body_of(expire_after_ts="1"), {("/expire_after_ts", "wrong_type")}),
    (body_of(quantity="1"), {("/quantity", "unknown_field")}),
    (body_of(**{"a/b~c": 1}), {("/a~1b~0c", "unknown_field")}),
    (body_of(**{"\ud800": "\ud800"}), {("/\\ud800", "unknown_field")}),
    (body_of(instrument="\ud800"), {("/instrument", "unknown_instrument")}),
    (body_of(instrument="btc-usd"), {("/instrument", "unknown_instrument")}),
    (body_of(price="70150.505"), {("/price", "precision")}),
    (body_of(price="1e5"), {("/price", "malformed")}),
    (body_of(price="NaN"), {("/price", "malformed")}),
    (body_of(price="-1"), {("/price", "price_out_of_band")}),
    (body_of(price="0"), {("/price", "price_out_of_band")}),
    (body_of(price="9" * 30), {("/price", "price_out_of_band")}),
    (body_of(price="9" * 70), {("/price", "malformed")}),
    (body_of(price=None), {("/price", "price_missing")}),
    (body_of(qty="0"), {("/qty", "qty_too_small")}),
    (body_of(qty="-0.5"), {("/qty", "qty_too_small")}),
    (body_of(qty="0.00001"), {("/qty", "precision")}),
    (body_of(qty="9" * 30), {("/qty", "qty_too_large")}),
    (body_of(qty="9" * 13), {("/qty", "notional_too_large")}),
    (body_of(qty=None), {("/qty", "required")}),
    (body_of(type="market"), {("/price", "price_not_allowed")}),
    (body_of(type="market", price=None, tif="gtc"), {("/tif", "invalid_value")}),
    (body_of(side="BUY"), {("/side", "invalid_value")}),
    (body_of(type="loc"), {("/type", "invalid_value")}),
    (body_of(tif="forever"), {("/tif", "invalid_value")}),
    (body_of(stp="no"), {("/stp", "invalid_value")}),
    (body_of(client_order_id=None), {("/client_order_id", "client_order_id")}),
    (body_of(client_order_id=""), {("/client_order_id", "client_order_id")}),
    (body_of(client_order_id="x" * 37), {("/client_order_id", "client_order_id")}),
    (body_of(client_order_id="a b"), {("/client_order_id", "client_order_id")}),
    (body_of(client_order_id="ü"), {("/client_order_id", "client_order_id")}),
    (body_of(client_order_id="a\0"), {("/client_order_id", "client_order_id")}),
    (body_of(client_order_id="a\n"), {("/client_order_id", "client_order_id")}),
    (body_of(expire_after_ts=0), {("/expire_after_ts", "invalid_value")}),
    (body_of(expire_after_ts=10**30), {("/expire_after_ts", "invalid_value")}),
    (body_of(recv_window_ms=-1), {("/recv_window_ms", "invalid_value")}),
    (
        b"{}",
        {
            ("/client_order_id", "client_order_id"),
            ("/instrument", "required"),
            ("/side", "required"),
            ("/type", "required"),
            ("/qty", "required"),
        },
    ),
    (
        body_of(side="x", qty="1.5x", price=1, extra=1, tif="gtd"),
        {
            ("/side", "invalid_value"),
            ("/qty", "malformed"),
            ("/price", "wrong_type"),
            ("/extra", "unknown_field"),
            ("/expire_ts", "required"),
        },
    ),
]


STOP: dict[str, Any] = {"type": "stop", "price": ..., "stop_price": "71000"}
TRAILING: dict[str, Any] = {"type": "trailing_stop", "price": ...}
MARKET: dict[str, Any] = {"type": "market", "price": ...}
LATER_TS = 1_999_999_999_999_999
UNFIT: list[tuple[dict[str, Any], set[tuple[str, str]]]] = [
    ({"tif": "gtd"}, {("/expire_ts", "required")}),
    ({"expire_ts": LATER_TS}, {("/expire_ts", "invalid_value")}),
    ({"tif": "gtd", "expire_ts": 0}, {("/expire_ts", "invalid_value")}),
    ({"post_only": True, "tif": "ioc"}, {("/post_only", "invalid_value")}),
    ({"slide": True}, {("/slide", "invalid_value")}),
    ({"reduce_only": True, "tif": "fok"}, {("/reduce_only", "invalid_value")}),
    ({"reduce_only": True, "post_only": True}, {("/reduce_only", "invalid_value")}),
    ({"reduce_only": True, "oco": "5"}, {("/reduce_only", "invalid_value")}),
    ({"display_qty": "0.3"}, {("/display_qty", "display_qty")}),
    ({"display_qty": "0.1", "tif": "fok"}, {("/display_qty", "invalid_value")}),
    ({"min_qty": "0.1"}, {("/min_qty", "invalid_value")}),
    ({"min_qty": "0.3", "tif": "ioc"}, {("/min_qty", "min_qty")}),
    ({"max_cost": "1"}, {("/max_cost", "invalid_value")}),
    (MARKET | {"max_cost": "1", "side": "sell"}, {("/max_cost", "invalid_value")}),
    (MARKET | {"max_cost": "x"}, {("/max_cost", "malformed")}),
    ({"protection_price": "1"}, {("/protection_price", "invalid_value")}),
    ({"oco": "5", "tif": "ioc"}, {("/oco", "invalid_value")}),
    ({"oco": "a-2"}, {("/oco", "invalid_value")}),
    ({"tag": "a b"}, {("/tag", "invalid_value")}),
    ({"stp": "cancel"}, {("/stp", "invalid_value")}),
    ({"type": "stop", "price": ...}, {("/stop_price", "required")}),
    ({"type": "stop_limit"}, {("/stop_price", "required")}),
    (STOP | {"price": "1"}, {("/price", "price_not_allowed")}),
    (STOP | {"tif": "ioc"}, {("/tif", "invalid_value")}),
    (STOP | {"stop_price": "0.001"}, {("/stop_price", "precision")}),
    (STOP | {"trail": "1"}, {("/trail", "invalid_value")}),
    (TRAILING, {("/trail", "required")}),
    (TRAILING | {"trail": "1", "trail_bps": 5}, {("/trail", "required")}),
    (TRAILING | {"trail_bps": 10_000}, {("/trail_bps", "invalid_value")}),
    (MARKET | {"tif": "fok"}, {("/tif", "invalid_value")}),
    (MARKET | {"tif": "gtc"}, {("/tif", "invalid_value")}),
]


@pytest.mark.parametrize(("change", "faults"), UNFIT, ids=str)
async def test_terms_that_do_not_go_together_are_named(
    client: Client, gateway: FakeGateway, change: dict[str, Any], faults: set[tuple[str, str]]
) -> None:
    reply = await client.place(**change)

    assert (reply.status, reply.body["code"]) == (422, "validation")
    assert {(f["pointer"], f["code"]) for f in reply.body["errors"]} == faults
    assert not gateway.sent


@pytest.mark.parametrize(("body", "faults"), FAULTS, ids=range(len(FAULTS)))
async def test_every_fault_is_named_at_once(
    client: Client, gateway: FakeGateway, body: bytes, faults: set[tuple[str, str]]
) -> None:
    reply = await client.raw(body)

    assert (reply.status, reply.body["code"]) == (422, "validation")
    assert {(f["pointer"], f["code"]) for f in reply.body["errors"]} == faults
    assert all(fault["detail"] for fault in reply.body["errors"])
    assert not gateway.sent


NOT_BUILT: list[dict[str, Any]] = [{"group": "g"}, {"resp": "ack"}, {"resp": "result"}]


@pytest.mark.parametrize("change", NOT_BUILT, ids=str)
async def test_what_is_not_built_is_refused_never_ignored(
    client: Client, gateway: FakeGateway, change: dict[str, Any]
) -> None:
    reply = await client.place(**change)

    assert (reply.status, reply.body["code"]) == (422, "not_supported")
    assert [fault["pointer"] for fault in reply.body["errors"]] == [f"/{next(iter(change))}"]
    assert not gateway.sent


async def test_an_asynchronous_answer_is_not_built(client: Client) -> None:
    reply = await client.post("/v1/orders", ORDER, headers={"Prefer": "respond-async"})

    assert (reply.status, reply.body["code"]) == (422, "not_supported")


async def test_an_unknown_field_gets_a_guess(client: Client) -> None:
    reply = await client.place(quantity="1", clientorderid="x", instrumnt="y", zzz=1)

    assert {f["pointer"]: f["detail"] for f in reply.body["errors"]} == {
        "/quantity": "unknown field; did you mean 'qty'?",
        "/clientorderid": "unknown field; did you mean 'client_order_id'?",
        "/instrumnt": "unknown field; did you mean 'instrument'?",
        "/zzz": "unknown field",
    }


async def test_a_number_for_a_decimal_is_refused_with_the_reason(client: Client) -> None:
    reply = await client.place(price=70150.5)

    assert "in quotes" in reply.body["errors"][0]["detail"]


async def test_a_body_over_the_limit_is_too_large(client: Client, gateway: FakeGateway) -> None:
    big = b'{"tag": "' + b"x" * BODY_BYTES_MAX + b'"}'

    async def chunks() -> Any:
        for _ in range(70):
            yield b" " * 1_024

    declared = await client.raw(big)
    chunked = await client.send(
        "POST", "/v1/orders", data=chunks(), headers={"Content-Type": "application/json"}
    )

    assert (declared.status, declared.body["code"]) == (413, "too_large")
    assert (chunked.status, chunked.body["code"]) == (413, "too_large")
    assert not gateway.sent


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain", "", "application/json; charset=latin-1"],
)
async def test_only_json_is_taken(client: Client, content_type: str) -> None:
    reply = await client.raw(body_of(), content_type)

    assert (reply.status, reply.body["code"]) == (415, "unsupported_media_type")


async def test_json_with_a_charset_is_json(client: Client) -> None:
    reply = await client.raw(body_of(side="x"), "application/json; charset=UTF-8")

    assert reply.status == 422


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.text(max_size=3), JSON), max_size=5))
def test_a_repeated_key_is_never_overlooked(members: list[tuple[str, Any]]) -> None:
    pairs = ", ".join(f"{json.dumps(key)} : {json.dumps(value)}" for key, value in members)
    raw = f"{{{pairs}}}".encode()
    keys = [key for key, _ in members]

    if len(set(keys)) != len(keys):
        assert may_repeat_keys(raw)


def test_a_usual_body_takes_the_fast_way() -> None:
    assert not may_repeat_keys(body_of())
    assert not may_repeat_keys(b'{"a":"x:y","b":"a"}')


async def test_unknown_paths_and_methods_are_problems(client: Client) -> None:
    missing = await client.get("/v1/nothing")
    method = await client.send("PUT", "/v1/orders")

    assert (missing.status, missing.body["code"]) == (404, "not_found")
    assert (method.status, method.body["code"]) == (405, "method_not_allowed")
    assert method.headers["Allow"] == "GET, HEAD, POST"
    assert missing.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/orders?limit=0", "?limit"),
        ("/v1/orders?limit=1001", "?limit"),
        ("/v1/orders?limit=x", "?limit"),
        ("/v1/orders?limit=1&limit=2", "?limit"),
        ("/v1/orders?limt=1", "?limt"),
        ("/v1/orders?cursor=zz", "?cursor"),
        ("/v1/orders?status=closed", "?status"),
        ("/v1/orders?instrument=X", "?instrument"),
        ("/v1/instruments/BTC-USD/book?levels=1001", "?levels"),
        ("/v1/instruments/BTC-USD/trades?cursor=1", "?cursor"),
        ("/v1/instruments/BTC-USD/trades?order=up", "?order"),
        ("/v1/balances?x=1", "?x"),
    ],
)
async def test_a_wrong_query_parameter_is_named(client: Client, path: str, pointer: str) -> None:
    reply = await client.get(path)

    assert reply.status == 422
    assert reply.body["errors"][0]["pointer"] == pointer
