"""The handshake of the WebHook specification of CloudEvents: a sender asks for permission to send.

It protects other servers from a sender that was given a wrong address. It does not authenticate the
sender: every event still needs a credential.
"""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_RATE = re.compile("[1-9][0-9]{0,8}")


class WebHookHandshake:
    """The senders that get permission, by the DNS names with which they identify themselves.

    `allowed_rate`: the requests per minute that they may send, or `*`.
    """

    def __init__(self, webhook_origins: str | None, points_per_minute: int = 0) -> None:
        """Parses names separated by commas, or `*`. `*.example.com` allows all subdomains.

        A request costs a point of the rate limit for each event. Raises ValueError for an invalid
        name.
        """
        self.allowed_rate = str(points_per_minute or "*")
        names = [name.strip().lower() for name in (webhook_origins or "").split(",")]
        self._names = frozenset(name for name in names if name)
        for name in self._names - {"*"}:
            if not _DNS_NAME.fullmatch(name.removeprefix("*.")):
                raise ValueError(
                    f"Invalid name {name[:100]!a}. Use the DNS names that senders send in "
                    "WebHook-Request-Origin, such as eventgrid.azure.net, *.example.com for all "
                    "subdomains, or * for all senders. Write international names with xn--."
                )

    def is_enabled(self) -> bool:
        return bool(self._names)

    def allows_origin(self, origin: str) -> bool:
        """Whether the sender gets permission. Names that are not DNS names get it only from `*`."""
        if "*" in self._names:
            return True
        name = origin.lower()
        parents = (name[match.end() :] for match in re.finditer(r"\.", name))
        return _DNS_NAME.fullmatch(name) is not None and not self._names.isdisjoint(
            [name, *(f"*.{parent}" for parent in parents)]
        )


def is_valid_rate(rate: str) -> bool:
    """Whether a requested rate is a positive number of requests per minute."""
    return _RATE.fullmatch(rate) is not None
