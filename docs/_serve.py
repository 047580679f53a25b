"""Shows the site as a web server does, with its page for unknown addresses: ``make docs-serve``."""

import functools
import http.server
from pathlib import Path

SITE = Path(__file__).parent / "_build" / "html"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and 404.html for all others."""

    def send_error(self, code, message=None, explain=None):
        """Send the site's page where a file is not found."""
        if code != http.HTTPStatus.NOT_FOUND:
            super().send_error(code, message, explain)
            return
        text = Path(self.directory, "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 8000), functools.partial(Handler, directory=SITE)
    ) as server:
        print("http://127.0.0.1:8000")
        server.serve_forever()
