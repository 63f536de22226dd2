"""Which IP addresses a channel may connect to: public ones, and exceptions of the operator."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Only these IPv6 addresses are global unicast. All others are reserved, local or multicast.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# A gateway translates these addresses to the IPv4 address in their last 32 bits.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# 6to4 and Teredo contain IPv4 addresses, too. They are not allowed at all.
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
# Servers of other protocols have well-known ports, too: nothing is sent to them.
WEB_PORTS = (80, 443)
_MAIL_PORTS = (25, 465, 587)
FIRST_UNRESERVED_PORT = 1_024


def parse_networks(text: str) -> tuple[IPNetwork, ...]:
    """Parses networks that are separated by commas. Raises ValueError."""
    return tuple(_parse_network(each.strip()) for each in text.split(","))


def _parse_network(text: str) -> IPNetwork:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"Invalid network {text[:100]!a}. Use networks separated by commas, such as "
            "10.1.0.0/16,fd00::/8"
        ) from None


def is_allowed_address(address: IPAddress, exceptions: Sequence[IPNetwork]) -> bool:
    """Whether a channel may connect to the address.

    An address that contains an IPv4 address is judged as that one.
    """
    embedded = _find_embedded_address(address)
    if embedded is not None:
        return is_allowed_address(embedded, exceptions)
    return any(address in network for network in exceptions) or _is_public(address)


def is_allowed_port(port: object) -> bool:
    """Whether a channel may send email or requests to the port."""
    if not isinstance(port, int):
        return False
    return port in (*WEB_PORTS, *_MAIL_PORTS) or port >= FIRST_UNRESERVED_PORT


def _find_embedded_address(address: IPAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or any(address in tunnel for tunnel in _TUNNELS)
    ):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
