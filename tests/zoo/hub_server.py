"""A server in place of the Hugging Face Hub."""

import hashlib
from http.server import BaseHTTPRequestHandler
from typing import Any

REVISION = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """Server with some files, or with an error for each request."""

    files: dict[str, bytes]
    status: int
    error: str
    requests: list[str]

    def do_HEAD(self) -> None:
        self.requests.append(self.path)
        content = self.files.get(self.path.rpartition("/")[2]) if self.status == 200 else None
        self.send_response(self.status if content is not None or self.status != 200 else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        if content is None:
            self.send_header("X-Error-Code", self.error or "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')  # names the file in the cache
        if self.status == 200:
            self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if content and self.command == "GET":
            self.wfile.write(content)

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *_: Any) -> None:
        """Do not log."""
