"""Failed authentication attempts are rate-limited by client address.

When the maximum number of failures of an address is delayed, only credentials that were valid
recently are accepted from it: otherwise parallel guesses would not be limited. Other addresses are
not affected.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from cachetools import LRUCache

from app.domain.shared.limits import FailedAuthLimits
from app.domain.shared.problems import ErrorCode, RequestError


@dataclass
class _Failures:
    """The latest failures of one address: their times and how many responses are delayed."""

    times: deque[float]
    delayed: int = field(default=0)


class AuthThrottle:
    """Tracks the latest addresses with failures, `addresses` of the limits at most."""

    def __init__(self, limits: FailedAuthLimits | None = None) -> None:
        self._limits = limits or FailedAuthLimits()
        self._failures: LRUCache[str, _Failures] = LRUCache(self._limits.tracked_addresses)
        self._recent_credentials: LRUCache[bytes, None] = LRUCache(self._limits.tracked_addresses)
        self._max_failures = (
            self._limits.free_attempts + 32
        )  # 32 doublings exceed any longest delay

    def __len__(self) -> int:
        """Number of tracked addresses."""
        return len(self._failures)

    def check_allowed(self, address: str | None, credential: str) -> None:
        """Raises RequestError LIMIT_EXCEEDED if too many failures of the address are delayed.

        Credentials that were valid recently are allowed. Call it before authentication.
        """
        failures = self._failures.get(_network_of(address))
        if failures is not None and _digest(credential) not in self._recent_credentials:
            self._remove_expired(failures)
            if len(failures.times) >= self._limits.free_attempts:
                self._check_delayed_limit(failures)

    def record_success(self, credential: str) -> None:
        """Records that the credential is valid."""
        self._recent_credentials[_digest(credential)] = None

    async def delay_failure(self, address: str | None) -> None:
        """Records a failure and waits before its response. Hold no database session meanwhile.

        Raises RequestError LIMIT_EXCEEDED at once if too many failures of the address are delayed.
        """
        failures = self._record_failure(_network_of(address))
        if len(failures.times) <= self._limits.free_attempts:
            return
        self._check_delayed_limit(failures)
        delay = self._delay(failures)
        failures.delayed += 1
        try:
            await asyncio.sleep(delay)
        finally:
            failures.delayed -= 1

    def _check_delayed_limit(self, failures: _Failures) -> None:
        if failures.delayed >= self._limits.max_delayed_requests:
            retry_after = max(1, ceil(self._delay(failures)))
            message = (
                "Too many failed authentication attempts from this address. "
                f"Retry in {retry_after:,} s."
            )
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, message, retry_after=retry_after)

    def _delay(self, failures: _Failures) -> float:
        excess = max(1, len(failures.times) - self._limits.free_attempts)
        return min(
            self._limits.max_delay_seconds, self._limits.first_delay_seconds * 2.0 ** (excess - 1)
        )

    def _record_failure(self, network: str) -> _Failures:
        failures = self._failures.setdefault(network, _Failures(deque(maxlen=self._max_failures)))
        self._remove_expired(failures)
        failures.times.append(asyncio.get_running_loop().time())
        return failures

    def _remove_expired(self, failures: _Failures) -> None:
        now = asyncio.get_running_loop().time()
        while failures.times and failures.times[0] <= now - self._limits.window_seconds:
            failures.times.popleft()


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode(errors="replace")).digest()


def _network_of(address: str | None) -> str:
    """Returns the address, or its /64 network for IPv6: one client may have all of it."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)
