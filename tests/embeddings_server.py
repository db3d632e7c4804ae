"""A server on this machine that speaks OpenAI's protocol for embeddings, holds to its limits, and fails on demand."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np

KEY = "sk-test-PLANTED-0123456789abcdef"
Fault = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]
"""Answers a request in place of the server."""


def embedding_of(text: str, width: int) -> np.ndarray:
    """The vector that the server has for ``text``: float32 [width], of unit length."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    vector = np.random.default_rng(seed).normal(size=width)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass
class EmbeddingsServer:
    """What the server was asked, and how it will fail.

    Attributes:
        url: base URL.
        faults: one for each of the next requests; where it is ``None``, and after them, it answers as it should.
        asked: body of each request that reached it; ``answered``: of those that it answered as it should.
        refused: what was wrong with requests that were against the protocol.
    """

    url: str = ""
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    answered: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def paid_for(self) -> list[str]:
        """Every text that was answered, in order."""
        return [text for body in self.answered for text in body["input"]]


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def failing(status: int, message: str = "try later", code: str | None = None, **headers: str) -> Fault:
    """An error as the API words it."""
    body = json.dumps({"error": {"message": message, "type": "error", "param": None, "code": code}}).encode()
    return lambda handler, _: send(handler, status, body, **headers)


def saying(body: bytes, **headers: str) -> Fault:
    """A success with this body."""
    return lambda handler, _: send(handler, 200, body, **headers)


def dropping(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    """The connection is closed without an answer."""
    handler.close_connection = True


def changed(change: Callable[[dict[str, Any]], object]) -> Fault:
    """The right answer, with something changed."""

    def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        right = right_answer(body)
        change(right)
        send(handler, 200, json.dumps(right).encode())

    return answer


def right_answer(body: dict[str, Any]) -> dict[str, Any]:
    data = []
    for index, text in enumerate(body["input"]):
        vector: Any = embedding_of(text, body.get("dimensions", 1536))
        as_text = body.get("encoding_format") == "base64"
        embedding = base64.b64encode(vector.tobytes()).decode() if as_text else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    tokens = sum(len(text.split()) for text in body["input"])
    return {
        "object": "list",
        "data": data,
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def what_is_wrong(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> str:
    """The rules of the API's reference; empty where they are kept."""
    texts = body.get("input")
    checks = {
        "path": handler.path == "/v1/embeddings",
        "key": handler.headers["Authorization"] == f"Bearer {KEY}",
        "model": bool(body.get("model")),
        "input": isinstance(texts, list) and all(isinstance(text, str) and text for text in texts),
        "2,048 inputs": isinstance(texts, list) and 0 < len(texts) <= 2048,
        "8,192 tokens an input": all(len(text.encode()) <= 8192 for text in texts or []),
        "300,000 tokens a request": sum(len(text.encode()) for text in texts or []) <= 300_000,
        "nothing else": set(body) <= {"input", "model", "dimensions", "encoding_format"},
    }
    return ", ".join(name for name, kept in checks.items() if not kept)


@contextmanager
def serve_embeddings() -> Iterator[EmbeddingsServer]:
    """Run a server for as long as the context lasts."""
    server = EmbeddingsServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append(body)
            wrong = what_is_wrong(self, body)
            if wrong:
                server.refused.append(wrong)
                failing(400, f"against the protocol: {wrong}")(self, body)
            elif fault := server.faults.pop(0) if server.faults else None:
                fault(self, body)
            else:
                server.answered.append(body)
                send(self, 200, json.dumps(right_answer(body)).encode())

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_address[1]}/v1"
    Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
