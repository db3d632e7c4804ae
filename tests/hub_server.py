"""A server on this machine that speaks as much of the Hugging Face hub's protocol as a model folder needs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

from embeddings_server import send

Files = dict[str, bytes]


@dataclass
class HubServer:
    """Repositories of models, each a list of commits; every commit holds all files of its time.

    Attributes:
        url: of the server. ``commits``: id and files, by repository, the oldest first.
        asked: method and path of every request.
    """

    url: str = ""
    commits: dict[str, list[tuple[str, Files]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def commit(self, repo: str, added: Files) -> str:
        """Add a commit that changes or adds files; its id."""
        history = self.commits[repo]
        files = {**(history[-1][1] if history else {}), **added}
        oid = hashlib.sha1(f"{repo} {len(history)}".encode()).hexdigest()
        history.append((oid, files))
        return oid

    def find(self, repo: str, revision: str) -> tuple[str, Files] | None:
        history = self.commits.get(repo, [])
        if revision == "main":
            return history[-1] if history else None
        return next((commit for commit in history if commit[0] == revision), None)


def entry(path: str, content: bytes) -> dict[str, str | int]:
    """A file as the hub lists it; its id is git's."""
    oid = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
    return {"type": "file", "path": path, "size": len(content), "oid": oid}


@contextmanager
def serve_hub() -> Iterator[HubServer]:
    """Run a server for as long as the context lasts."""
    server = HubServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            match self._path():
                case ["api", "repos", "create"]:
                    asked = json.loads(body)
                    repo = "/".join(part for part in (asked.get("organization"), asked["name"]) if part)
                    server.commits.setdefault(repo, [])
                    self._answer({"url": f"{server.url}/{repo}"})
                case ["api", "validate-yaml"]:
                    self._answer({"errors": [], "warnings": []})
                case ["api", "models", owner, name, "preupload", _]:
                    paths = [file["path"] for file in json.loads(body)["files"]]
                    kinds = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
                    self._answer({"files": kinds})
                case ["api", "models", owner, name, "commit", _]:
                    lines = [json.loads(line) for line in body.splitlines()]
                    files = [line["value"] for line in lines if line["key"] == "file"]
                    repo = f"{owner}/{name}"
                    oid = server.commit(repo, {file["path"]: base64.b64decode(file["content"]) for file in files})
                    self._answer({"commitUrl": f"{server.url}/{repo}/commit/{oid}", "commitOid": oid, "hookOutput": ""})
                case _:
                    self._refuse()

        def do_GET(self) -> None:
            match self._path():
                case ["api", "models", owner, name, "revision", revision]:
                    self._describe(f"{owner}/{name}", revision)
                case ["api", "models", owner, name, "tree", revision]:
                    _, files = server.find(f"{owner}/{name}", revision) or ("", {})
                    self._answer([entry(path, content) for path, content in files.items()])
                case [owner, name, "resolve", revision, *path]:
                    self._send_file(f"{owner}/{name}", revision, "/".join(path))
                case _:
                    self._refuse()

        do_HEAD = do_GET  # noqa: N815 - named by http.server

        def _describe(self, repo: str, revision: str) -> None:
            found = server.find(repo, revision)
            if found is None:
                code = "RevisionNotFound" if repo in server.commits else "RepoNotFound"
                self._refuse(code)
                return
            oid, files = found
            self._answer({"id": repo, "sha": oid, "siblings": [{"rfilename": name} for name in files]})

        def _send_file(self, repo: str, revision: str, path: str) -> None:
            found = server.find(repo, revision)
            if found is None or path not in found[1]:
                self._refuse("EntryNotFound" if found else "RevisionNotFound")
                return
            oid, files = found
            etag = f'"{hashlib.sha256(files[path]).hexdigest()}"'
            self._reply(200, files[path], X_Repo_Commit=oid, ETag=etag)

        def _path(self) -> list[str]:
            server.asked.append(f"{self.command} {self.path}")
            return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

        def _answer(self, value: object) -> None:
            self._reply(200, json.dumps(value).encode())

        def _refuse(self, code: str = "RepoNotFound") -> None:
            self._reply(404, b"{}", X_Error_Code=code)

        def _reply(self, status: int, body: bytes, **headers: str) -> None:
            if self.command == "HEAD":
                headers["Content-Length"], body = str(len(body)), b""
            send(self, status, body, **headers)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
