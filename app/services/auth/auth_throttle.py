"""Bad credentials are slowed, by the address that they come from.

Where so many of an address wait that no more may, a credential is looked at only if it was good
lately: else guesses sent in parallel would be judged as fast as ever. Nobody else is slowed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from app.domain.shared.limits import Slowing
from app.domain.shared.problems import ErrorCode, RequestError


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
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._steps = self._slowing.free + 32  # twice the time, so often, is beyond any longest

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._failures)

    def waiting(self, address: str | None) -> int:
        """How many failures of the address wait for their answer."""
        failures = self._failures.get(_network(address))
        return 0 if failures is None else failures.waiting

    def admit(self, address: str | None, credential: str) -> None:
        """Before the credential is looked at.

        RequestError LIMIT_EXCEEDED where too many of the address wait, and it was not good lately.
        """
        failures = self._failures.get(_network(address))
        if failures is not None and _digest(credential) not in self._good:
            self._forget_old(failures)
            if len(failures.at) >= self._slowing.free:
                self._check_room(failures)

    def remember(self, credential: str) -> None:
        """That it was good."""
        digest = _digest(credential)
        self._good[digest] = None
        self._good.move_to_end(digest)
        if len(self._good) > self._slowing.addresses:
            self._good.popitem(last=False)

    async def fail(self, address: str | None) -> None:
        """Returns when the failure may be answered. Hold no session meanwhile.

        RequestError LIMIT_EXCEEDED, at once, where too many of the address wait already.
        """
        failures = self._noted(_network(address))
        if len(failures.at) <= self._slowing.free:
            return
        self._check_room(failures)
        delay = self._delay(failures)
        failures.waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            failures.waiting -= 1

    def _check_room(self, failures: _Failures) -> None:
        if failures.waiting >= self._slowing.waiting:
            raise RequestError(
                ErrorCode.LIMIT_EXCEEDED,
                "Too many bad credentials came from this address: try later.",
                retry_after=max(1, ceil(self._delay(failures))),
            )

    def _delay(self, failures: _Failures) -> float:
        beyond = max(1, len(failures.at) - self._slowing.free)
        return min(self._slowing.longest_delay, self._slowing.first_delay * 2.0 ** (beyond - 1))

    def _noted(self, network: str) -> _Failures:
        failures = self._failures.setdefault(network, _Failures(deque(maxlen=self._steps)))
        self._failures.move_to_end(network)
        self._forget_old(failures)
        failures.at.append(asyncio.get_running_loop().time())
        while len(self._failures) > self._slowing.addresses:
            self._failures.popitem(last=False)
        return failures

    def _forget_old(self, failures: _Failures) -> None:
        now = asyncio.get_running_loop().time()
        while failures.at and failures.at[0] <= now - self._slowing.seconds:
            failures.at.popleft()


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode(errors="replace")).digest()


def _network(address: str | None) -> str:
    """The address; of IPv6 the network of 64 bits, all of which one client may have."""
    try:
        read = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(read, IPv6Address) and read.ipv4_mapped is None:
        return str(ip_network((read, 64), strict=False))
    return str(read)
