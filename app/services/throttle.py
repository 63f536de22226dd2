"""Bad credentials are slowed, by the address that they come from. Good ones never are."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from app.domain.limits import Slowing
from app.domain.problems import ErrorCode, RequestError


@dataclass
class _Failures:
    """Of one address: when the latest were, and how many of them still wait for their answer."""

    at: deque[float]
    waiting: int = field(default=0)


class Throttle:
    """Remembers the addresses that failed last, as many as `slowing` says."""

    def __init__(self, slowing: Slowing | None = None) -> None:
        self._slowing = slowing or Slowing()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._steps = self._slowing.free + 32  # twice the time, so often, is beyond any longest

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._failures)

    def waiting(self, address: str | None) -> int:
        """How many failures of the address wait for their answer."""
        failures = self._failures.get(_network(address))
        return 0 if failures is None else failures.waiting

    async def fail(self, address: str | None) -> None:
        """Returns when the failure may be answered. Hold no session meanwhile.

        RequestError LIMIT_EXCEEDED, at once, where too many of the address wait already.
        """
        slowing = self._slowing
        failures = self._noted(_network(address))
        beyond = len(failures.at) - slowing.free
        if beyond <= 0:
            return
        delay = min(slowing.longest_delay, slowing.first_delay * 2.0 ** (beyond - 1))
        if failures.waiting >= slowing.waiting:
            raise RequestError(
                ErrorCode.LIMIT_EXCEEDED,
                "Too many bad credentials came from this address: try later.",
                retry_after=max(1, ceil(delay)),
            )
        failures.waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            failures.waiting -= 1

    def _noted(self, network: str) -> _Failures:
        now = asyncio.get_running_loop().time()
        failures = self._failures.setdefault(network, _Failures(deque(maxlen=self._steps)))
        self._failures.move_to_end(network)
        while failures.at and failures.at[0] <= now - self._slowing.seconds:
            failures.at.popleft()
        failures.at.append(now)
        while len(self._failures) > self._slowing.addresses:
            self._failures.popitem(last=False)
        return failures


def _network(address: str | None) -> str:
    """The address; of IPv6 the network of 64 bits, all of which one client may have."""
    try:
        read = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(read, IPv6Address) and read.ipv4_mapped is None:
        return str(ip_network((read, 64), strict=False))
    return str(read)
