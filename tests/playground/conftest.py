"""A playground that runs in a thread of this process."""

import asyncio
import threading

import pytest


@pytest.fixture(scope="package")
def playground():
    """What `listen` gives, with its server running in an event loop of its own."""
    server_module = pytest.importorskip(
        "fastnn.playground.server", reason="the extra `playground` is missing", exc_type=ImportError
    )
    started, found = threading.Event(), {}

    async def serve():
        found["playground"], server = server_module.listen(0)
        found["loop"], found["stop"] = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await found["stop"].wait()
        server.stop()
        found["playground"].close()
        await server.close_all_connections()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield found["playground"]
    found["loop"].call_soon_threadsafe(found["stop"].set)
    thread.join(10)
    assert not thread.is_alive()
