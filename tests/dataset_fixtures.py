"""Fixtures for the doors out: a web server on this machine, a search path of our own, a small MNIST.

Test modules ask for them with ``pytest_plugins = "dataset_fixtures"``.
"""

import http.server
import threading

import dataset_fakes as fakes
import pytest
import torchvision


class Site:
    """A web server on this machine. ``files``: path -> bytes, or "stall", "short", "drip"; anything else is a 404."""

    def __init__(self):
        self.files, self.asked, self.closing = {}, [], threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                site.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, request):
        content = self.files.get(request.path)
        if content is None:
            return request.send_error(404)
        if content == "silent":
            return self.closing.wait(20)
        request.send_response(200)
        request.send_header("Content-Length", str(len(content) if isinstance(content, bytes) else 1000))
        request.end_headers()
        request.wfile.write(content if isinstance(content, bytes) else b"x")
        while content == "drip" and not self.closing.wait(0.05):
            request.wfile.write(b"x")
        if content == "stall":
            self.closing.wait(20)

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def website(monkeypatch):
    made = Site()
    monkeypatch.setenv("no_proxy", "*")
    for kind in (torchvision.datasets.MNIST, torchvision.datasets.FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", [f"{made.url}a/", f"{made.url}b/"])
    yield made
    made.close()


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that alone is searched for programs; returns a function that puts a shell script there."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name, script):
        (folder / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\necho $$ $@ >> {folder}/calls\n{script}\n")
        (folder / name).chmod(0o755)

    return put


@pytest.fixture
def tiny_mnist(monkeypatch, tmp_path):
    return fakes.small_mnist(monkeypatch, tmp_path)
