"""The address of a camera on the network: checked, and never shown with its credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping
from urllib.parse import unquote, urlsplit

from rmedge.errors import UsageError

__all__ = ["Address"]


@dataclass(frozen=True)
class Address:
    """A URL's parts."""

    url: str
    scheme: str
    host: str
    port: int
    target: str  # path and query, as a request names them
    user: str
    password: str

    @classmethod
    def parse(cls, url: str, ports: Mapping[str, int]) -> Address:
        """The parts of a URL whose scheme is one of ``ports``, which holds each scheme's default port.

        Raises:
            UsageError: it is not such a URL; the message does not quote it.
        """
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
            # a space or a line's end would smuggle words into the request
            sound = scheme in ports and host and port != 0 and re.fullmatch(r"[\x21-\x7e]+", url)
        except ValueError:
            sound = None
        if not sound:
            schemes = " or ".join(f"{scheme}://" for scheme in ports)
            raise UsageError(
                f"camera: expected {schemes}[USER:PASSWORD@]HOST[:PORT]/PATH in plain ASCII, "
                "got another address; write other characters as %XX"
            )
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(url, scheme, host, port or ports[scheme], target, user, password)

    @property
    def shown(self) -> str:
        """What errors may say: cameras take passwords in the path and the query too."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"
