"""`outcry up` whose only process is this file as an HTTP server: ready after the third question.

fake_exchange.py DATA LISTEN            the supervisor
fake_exchange.py serve LISTEN           the server
"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec

from core.limits import SMALL
from tools import exits, up
from tools.child import Spec
from tools.config import Config, Data, Http, parse_address


class Handler(BaseHTTPRequestHandler):
    """Counts the questions."""

    asked = 0

    def do_GET(self) -> None:
        """Answer /readyz: twice 503, then 200."""
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 2 and self.path == "/readyz" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, form: str, *values: object) -> None:
        """Nothing."""


def main(first: str, listen: str) -> int:
    """One of the two roles."""
    if first == "serve":
        HTTPServer(parse_address(listen), Handler).serve_forever()
    config = msgspec.structs.replace(Config(), data=Data(dir=first), http=Http(listen=listen))
    up.compile_first = lambda: None
    up.specs = lambda config, limits, listen, pinning=None: [
        Spec("http", (sys.executable, __file__, "serve", listen), 0, exits.FINAL_OF_OTHERS)
    ]
    try:
        return up.run(config, SMALL)
    except exits.Stop as stop:
        sys.stderr.write(f"{stop}\n")
        return stop.code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
