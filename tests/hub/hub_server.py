"""The few calls of the hub that clients make, answered from memory by a server of this machine."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """Repositories of one server.

    Attributes:
        commits: Repository -> commits, the last that of its main branch -> file -> content.
        requests: Method and path of what was asked.
        tokens: Headers of authorization that came.
        private: Repositories that only a token opens.
    """

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self.private: set[str] = set()
        self.address = ""

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Adds files to what a repository holds."""
        history = self.commits.setdefault(repository, {})
        tree = (history[list(history)[-1]] if history else {}) | files
        content = b"".join(name.encode() + data for name, data in sorted(tree.items()))
        name = hashlib.sha1(content + bytes([len(history)]), usedforsecurity=False).hexdigest()
        history[name] = tree
        return name

    def tree(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Commit and files of a revision."""
        history = self.commits[repository]
        name = list(history)[-1] if revision == "main" else revision
        return (name, history[name]) if name in history else None


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _send(self, status: int, body: Any = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _asked(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        if token := self.headers.get("Authorization"):
            self.hub.tokens.add(token)

    def do_GET(self) -> None:
        """Facts and files."""
        self._asked()
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
            repository, kind, revision = found.groups()
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            repository, kind, revision = found[1], "revision", "main"
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository, kind, revision = found[1], found[3], found[2]
        else:
            return self._send(404)
        is_closed = repository in self.hub.private and not self.headers.get("Authorization")
        if repository not in self.hub.commits or is_closed:
            return self._send(401 if is_closed else 404, X_Error_Code="RepoNotFound")
        tree = self.hub.tree(repository, revision)
        if tree is None:
            return self._send(404, X_Error_Code="RevisionNotFound")
        commit, files = tree
        if kind == "revision":
            siblings = [{"rfilename": name} for name in files]
            return self._send(200, {"id": repository, "sha": commit, "siblings": siblings})
        if kind == "tree":
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": _etag(data)[:40]}
                for name, data in files.items()
            ]
            return self._send(200, rows)
        if kind not in files:
            return self._send(404, X_Error_Code="EntryNotFound")
        content = files[kind]
        return self._send(200, content, ETag=f'"{_etag(content)}"', X_Repo_Commit=commit)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Uploads."""
        self._asked()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.headers.get("Authorization"):
            return self._send(401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.hub.commit(name, {})
            if asked.get("private") or asked.get("visibility") == "private":
                self.hub.private.add(name)
            return self._send(200, {"url": f"{self.hub.address}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", self.path):
            names = [each["path"] for each in json.loads(body)["files"]]
            return self._send(
                200,
                {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]},
            )
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", self.path):
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            commit = self.hub.commit(found[1], files)
            url = f"{self.hub.address}/{found[1]}/commit/{commit}"
            return self._send(200, {"commitUrl": url, "commitOid": commit})
        return self._send(404)


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub without repositories, at the address that it says."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
