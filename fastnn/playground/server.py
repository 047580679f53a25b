"""The server of the playground: its files, and a websocket to the thread that trains."""

from __future__ import annotations

import asyncio
import importlib.resources
import json
import logging
import threading
import webbrowser
from typing import Any

from . import access
from .player import Player
from .settings import shortened

try:
    import tornado.httpserver as httpserver
    import tornado.ioloop as ioloop
    import tornado.netutil as netutil
    import tornado.web as web
    import tornado.websocket as websocket
except ImportError as error:
    message = (
        "the playground needs tornado: python -m pip install tornado (the extra 'playground' of fastnn-jit)"
    )
    raise ImportError(message) from error

MOST_PAGES = 4  # at a time: each trains in a thread of its own
LARGEST_MESSAGE = 1 << 16  # bytes
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def page_files() -> dict[str, bytes]:
    """The files of the page by their names: nothing else is ever served."""
    folder = importlib.resources.files("fastnn.playground") / "page"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.endswith(tuple(TYPES))}


class Playground:
    """What all requests share.

    Attributes
    ----------
    token : str
        In the path of every address.
    ticket : str
        Opens the page once, in place of the token: other users of the machine can read the command line by
        which a browser is started.
    """

    def __init__(self, port: int) -> None:
        self.port, self.token, self.ticket = port, access.new_token(), access.new_token()
        self.files, self.players = page_files(), set[Player]()

    def address(self, secret: str) -> str:
        """Of the page."""
        return f"http://{access.ADDRESS}:{self.port}/{secret}/"

    def application(self) -> web.Application:
        """For tornado."""
        given = {"playground": self}
        return web.Application(
            [(r"/([^/]*)/live", Live, given), (r"/([^/]*)/(.*)", File, given)],
            default_handler_class=Nothing,
            default_handler_args=given,
            websocket_max_message_size=LARGEST_MESSAGE,
            log_function=lambda handler: None,  # addresses hold the token
        )

    def close(self) -> None:
        """End all training."""
        for player in list(self.players):
            player.close()
        for player in list(self.players):
            player.join(5.0)


class Guarded(web.RequestHandler):
    """A request that is refused before it is dealt with, if it may not be."""

    playground: Playground

    def initialize(self, playground: Playground) -> None:  # noqa: D102
        self.playground = playground

    def set_default_headers(self) -> None:  # noqa: D102
        self.clear_header("Server")
        for name, value in access.HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Check where the request comes from, then the token."""
        is_live = isinstance(self, websocket.WebSocketHandler)
        if fault := access.fault(self.request.headers, self.playground.port, is_live):
            raise web.HTTPError(403) from PermissionError(fault)
        given = self.path_args[0] if self.path_args else ""
        if not access.same(given, self.playground.token) and not self.may_pass(given):
            fault = "the address lacks the token: take the one that `python -m fastnn playground` printed"
            raise web.HTTPError(403) from PermissionError(fault)

    def may_pass(self, given: str) -> bool:
        """Whether something else than the token will do."""
        return False

    def write_error(self, status_code: int, **given: Any) -> None:
        """A sentence, as plain text."""
        error = given.get("exc_info", (None, None, None))[1]
        cause = error.__cause__ if isinstance(error, web.HTTPError) else None
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {cause or self._reason}\n")


class Nothing(Guarded):
    """An address that there is not."""

    def prepare(self) -> None:  # noqa: D102
        super().prepare()
        raise web.HTTPError(404)


class File(Guarded):
    """A file of the page."""

    by_ticket = False

    def may_pass(self, given: str) -> bool:  # noqa: D102
        playground = self.playground
        if not playground.ticket or not access.same(given, playground.ticket):
            return False
        playground.ticket = ""
        self.by_ticket = True
        return True

    def get(self, secret: str, name: str) -> None:  # noqa: D102
        if self.by_ticket:
            self.redirect(f"/{self.playground.token}/")
            return
        content = self.playground.files.get(name or "index.html")
        if content is None:
            raise web.HTTPError(404)
        suffix = "." + (name or "index.html").rpartition(".")[2]
        self.set_header("Content-Type", f"{TYPES[suffix]}; charset=utf-8")
        self.finish(content)


class Live(Guarded, websocket.WebSocketHandler):
    """A page: its messages go to a thread that trains, and what that delivers goes back."""

    player: Player | None = None

    def check_origin(self, origin: str) -> bool:
        """`prepare` has."""
        return True

    def open(self, *args: str) -> None:  # noqa: D102
        if len(self.playground.players) >= MOST_PAGES:
            self.close(1013, f"{MOST_PAGES} pages are open: close one of them")
            return
        loop = ioloop.IOLoop.current()
        self.player = Player(lambda message: loop.add_callback(self.send, message))
        self.playground.players.add(self.player)
        self.player.start()

    def send(self, message: str | bytes) -> None:
        """Send text or a frame, if the page is still there."""
        try:
            sent = self.write_message(message, binary=isinstance(message, bytes))
        except websocket.WebSocketClosedError:
            return
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())  # it left meanwhile

    def on_message(self, message: str | bytes) -> None:  # noqa: D102
        if self.player is None:
            return
        try:
            if isinstance(message, bytes):
                raise ValueError("bytes")
            given = json.loads(message)
        except (ValueError, RecursionError):
            text = f"a message must be JSON, got {shortened(message)}"
            self.send(json.dumps({"type": "error", "text": text}))
            return
        if not self.player.tell(given):
            self.close(1008, "too many messages wait to be dealt with")

    def on_close(self) -> None:  # noqa: D102
        if self.player is not None:
            self.player.close()
            self.playground.players.discard(self.player)


def listen(port: int) -> tuple[Playground, httpserver.HTTPServer]:
    """A server on a port of 127.0.0.1; on a free one if `port` is 0. It needs a running event loop."""
    sockets = netutil.bind_sockets(port, access.ADDRESS)
    playground = Playground(sockets[0].getsockname()[1])
    server = httpserver.HTTPServer(
        playground.application(), max_header_size=1 << 14, max_body_size=1 << 14, idle_connection_timeout=60
    )
    server.add_sockets(sockets)
    return playground, server


async def _serve(port: int, browser: bool) -> None:
    playground, server = listen(port)
    print(f"The playground is at {playground.address(playground.token)}  (Ctrl-C ends it)", flush=True)
    if browser:
        address = playground.address(playground.ticket)
        # A daemon: a browser in the terminal keeps the call until it is left.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        playground.close()


def run(port: int = 0, browser: bool = True) -> None:
    """Serve until Ctrl-C.

    Parameters
    ----------
    port : int
        Of 127.0.0.1; 0 for a free one.
    browser : bool
        Whether to open the page in the browser.

    Raises
    ------
    OSError
        If the port is taken.
    """
    # What a stranger's request was refused for is told to them; it says nothing to the terminal.
    for name in ("tornado.general", "tornado.access"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        asyncio.run(_serve(port, browser))
    except KeyboardInterrupt:
        print()
