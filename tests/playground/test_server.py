"""Who may use the playground's server, and what others are told: attacks, one by one."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from fastnn.__main__ import main
from fastnn.playground import access

websocket = pytest.importorskip("tornado.websocket", reason="the extra `playground` is missing")
from tornado import httpclient, ioloop  # noqa: E402

from fastnn.playground import server  # noqa: E402


def get(playground, path, method="GET", **headers):
    """Status, headers and text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", playground.port, timeout=10)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.headers), text


def own(playground, name=""):
    return f"/{playground.token}/{name}"


def test_it_listens_on_this_machine_alone(playground):
    assert playground.address("").startswith("http://127.0.0.1:")
    for _, _, _, _, (address, *_) in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
        if not address.startswith("127."):
            with pytest.raises(OSError):
                socket.create_connection((address, playground.port), timeout=1)


@pytest.mark.parametrize("name", sorted(server.page_files()))
def test_a_file_of_the_page_is_served_with_a_strict_policy(playground, name):
    status, headers, text = get(playground, own(playground, name))
    assert status == 200 and text.encode() == playground.files[name]
    assert headers["Content-Type"].startswith(server.TYPES["." + name.partition(".")[2]])
    assert headers.items() >= access.HEADERS.items() and "Server" not in headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy


def test_the_page_has_no_inline_code_or_style_and_names_no_other_place():
    files = server.page_files()
    assert "index.html" in files and "main.js" in files
    page = files["index.html"].decode()
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page) == []
    for name, content in files.items():
        assert set(re.findall(r"https?://[^\s\"']+", content.decode())) <= {"http://www.w3.org/2000/svg"}, (
            name
        )
        assert content.count(b"\n") < 300, name


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/live", "/x/", "/x/main.js", "/x/live", "//", "/%00/", "/ä/"]
)
def test_without_the_token_nothing_is_told(playground, path):
    headers = {"Origin": f"http://127.0.0.1:{playground.port}"} if path.endswith("live") else {}
    status, headers, text = get(playground, path.replace("ä", "%C3%A4"), **headers)
    assert status == 403 and "the address lacks the token" in text
    assert playground.token not in text and headers.items() >= access.HEADERS.items()


def test_an_address_that_is_no_text_is_refused(playground):
    status, headers, text = get(playground, "/%ff/")
    assert status == 400 and text == "400: Bad Request\n" and headers.items() >= access.HEADERS.items()


def test_a_token_must_be_whole(playground):
    token = playground.token
    assert len(token) >= 40
    for wrong in (token[:-1], token + "x", token.swapcase(), token[::-1], ""):
        assert get(playground, f"/{wrong}/")[0] == 403
    assert playground.token != server.Playground(1).token


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_another_host_is_refused(playground, host):
    status, _, text = get(playground, own(playground), Host=host.format(port=playground.port))
    assert status in (400, 403) and "<" not in text


def test_localhost_is_a_name_of_this_machine(playground):
    assert get(playground, own(playground), Host=f"localhost:{playground.port}")[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://localhost:{port}"]
)
def test_another_origin_is_refused(playground, origin):
    status, _, text = get(playground, own(playground), Origin=origin.format(port=playground.port))
    assert status == 403 and "only the playground's own page" in text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_from_another_page_is_refused(playground, site):
    assert get(playground, own(playground), Sec_Fetch_Site=site)[0] == 403
    assert get(playground, own(playground), Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "../server.py",
        "..%2fserver.py",
        "%2e%2e/server.py",
        "....//server.py",
        "/etc/passwd",
        "page/../../server.py",
    ]
    + ["index.html%00.py", "..\\server.py", "__init__.py", "main.js/", "live/x", "ticket", "nothing"],
)
def test_a_path_leads_nowhere_but_to_the_files_of_the_page(playground, name):
    status, headers, text = get(playground, own(playground, name))
    assert status in (400, 403, 404) and "import" not in text and "root:" not in text
    assert headers.items() >= access.HEADERS.items()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_files_are_only_read(playground, method):
    assert get(playground, own(playground), method=method)[0] in (400, 405)


def test_a_ticket_opens_the_page_once(playground):
    ticket = playground.ticket
    status, headers, _ = get(playground, f"/{ticket}/")
    assert status == 302 and headers["Location"] == own(playground)
    assert get(playground, f"/{ticket}/")[0] == 403
    assert get(playground, "//")[0] == 403  # no ticket is left, and nothing is not one


# The websocket.


def call(work):
    """Run a coroutine function in an event loop of its own."""
    return ioloop.IOLoop().run_sync(work, timeout=60)


def request(playground, path=None, host=None, origin="", **headers):
    host = f"127.0.0.1:{playground.port}" if host is None else host
    headers["Host"] = host
    if origin is not None:
        headers["Origin"] = origin or f"http://{host}"
    address = f"ws://127.0.0.1:{playground.port}{path or own(playground, 'live')}"
    return httpclient.HTTPRequest(address, headers=headers)


async def answer(socket, kind):
    while (found := await socket.read_message()) is not None:
        if isinstance(found, str) and (message := json.loads(found))["type"] == kind:
            return message
    return None


@pytest.mark.parametrize(
    "case",
    [
        {"path": "/live"},
        {"path": "/x/live"},
        {"origin": None},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
    ],
    ids=str,
)
def test_a_websocket_from_elsewhere_is_refused(playground, case):
    async def work():
        with pytest.raises(httpclient.HTTPClientError) as error:
            await websocket.websocket_connect(request(playground, **case))
        assert error.value.code == 403

    call(work)
    assert not playground.players


def test_a_page_trains_over_its_websocket(playground):
    async def work():
        page = await websocket.websocket_connect(request(playground))
        await page.write_message(json.dumps({"do": "build", "settings": {"hidden": [3]}}))
        assert (await answer(page, "built"))["parameters"] == 21
        assert isinstance(await page.read_message(), bytes)
        await page.write_message(json.dumps({"do": "build", "settings": {"hidden": [1000]}}))
        assert "from 1 to 16, got 1000" in (await answer(page, "error"))["text"]
        page.close()

    call(work)


@pytest.mark.parametrize("message", ["", "{", "play", b"\x00\xff", "[" * 30_000, '{"do": "play"', "NaN"])
def test_a_malformed_message_is_answered(playground, message):
    async def work():
        page = await websocket.websocket_connect(request(playground))
        await page.write_message(message, binary=isinstance(message, bytes))
        assert "a message must be" in (await answer(page, "error"))["text"]
        await page.write_message(json.dumps({"do": "build", "settings": {}}))
        assert (await answer(page, "built"))["classes"] == 3
        page.close()

    call(work)


def test_a_message_that_is_too_large_ends_the_connection(playground):
    async def work():
        page = await websocket.websocket_connect(request(playground))
        await page.write_message("x" * (server.LARGEST_MESSAGE + 1))
        assert await answer(page, "error") is None
        assert page.close_code == 1009
        page.close()

    call(work)


def test_a_page_that_leaves_while_frames_are_sent_leaves_nothing_behind(playground):
    async def work():
        for _ in range(5):
            page = await websocket.websocket_connect(request(playground))
            await page.write_message(json.dumps({"do": "build", "settings": {}}))
            await page.write_message(json.dumps({"do": "play"}))
            assert (await answer(page, "state"))["playing"]
            page.stream.close()  # without a word
            page.close()
        for _ in range(200):
            if not playground.players:
                break
            await asyncio.sleep(0.05)
        assert not playground.players

    call(work)


def test_more_pages_than_some_are_refused(playground):
    async def work():
        pages = [await websocket.websocket_connect(request(playground)) for _ in range(server.MOST_PAGES)]
        for page in pages:
            await page.write_message(json.dumps({"do": "build", "settings": {}}))
            await answer(page, "built")
        more = await websocket.websocket_connect(request(playground))
        assert await answer(more, "built") is None
        assert more.close_code == 1013 and "close one" in more.close_reason
        for page in [*pages, more]:
            page.close()

    call(work)


# The command.


def test_without_tornado_the_command_says_what_to_install():
    program = (
        "import sys; sys.modules['tornado'] = None; from fastnn.__main__ import main;"
        "sys.exit(main(['playground']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "python -m pip install tornado" in done.stderr and "'playground'" in done.stderr


def test_a_port_that_is_taken_is_reported(playground):
    command = [sys.executable, "-m", "fastnn", "playground", "--no-browser", "--port", str(playground.port)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "in use" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(port, capsys):
    with pytest.raises(SystemExit):
        main(["playground", f"--port={port}"])
    assert "argument --port" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_serves_until_ctrl_c_and_opens_the_browser_by_a_ticket(tmp_path):
    note = tmp_path / "opened"
    command = [sys.executable, "-m", "fastnn", "playground"]
    browser = f"{sys.executable} -c \"import sys; open('{note}', 'w').write(sys.argv[1])\" %s"
    environment = {**os.environ, "BROWSER": browser}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        found = re.search(r"(http://127\.0\.0\.1:(\d+)/([\w-]{43})/)", process.stdout.readline())
        playground = server.Playground(int(found[2]))
        assert get(playground, f"/{found[3]}/")[0] == 200
        for _ in range(100):
            if note.exists() and note.read_text():
                break
            process.poll()
            ioloop.IOLoop().run_sync(lambda: asyncio.sleep(0.05))
        assert found[3] not in note.read_text()
        assert get(playground, note.read_text().partition(str(found[2]))[2])[0] == 302
    finally:
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0 and errors == ""
