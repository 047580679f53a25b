"""The built site on a server, and a page of the browser."""

import functools
import http.server
import importlib.util
import threading
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
HTML = DOCS / "_build" / "html"


@pytest.fixture(scope="session")
def html():
    """The folder of the built site."""
    if not (HTML / "index.html").exists():
        pytest.skip("the site is not built: make docs")
    return HTML


@pytest.fixture(scope="session")
def address(html):
    """The address of a server that shows the site, as `make docs-serve` does."""
    spec = importlib.util.spec_from_file_location("_serve", DOCS / "_serve.py")
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)

    class Quiet(serve.Handler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=html)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(browser, address):
    """A page that notes what goes wrong, and every request that leaves this machine."""
    context = browser.new_context(base_url=address, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.faults = []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    # The search gives up what it was reading once a result is opened.
    page.on(
        "requestfailed",
        lambda request: request.failure == "net::ERR_ABORTED" or page.faults.append(f"failed: {request.url}"),
    )
    page.on("response", lambda answer: answer.status >= 400 and page.faults.append(answer.url))
    page.on("request", lambda request: request.url.startswith(address) or page.faults.append(request.url))
    yield page
    context.close()
