"""Owns lists of networks: how they are written, and whether an address is in one. It runs for every request."""

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

MAX_NETWORKS = 1_000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_Point = tuple[int, int]  # IP version, address as a number: ordered, and the versions never meet
_LONGEST_ADDRESS = 45  # 0000:0000:0000:0000:0000:ffff:255.255.255.255
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_SEPARATORS = re.compile(r"[,\s]+")


@dataclass(frozen=True, slots=True)
class Networks:
    """IPv4 and IPv6 networks; an IPv4 address that is written as IPv6 (::ffff:192.0.2.1) is that IPv4 address."""

    listed: tuple[Network, ...]
    _starts: Sequence[_Point]
    _ends: Sequence[_Point]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read addresses and networks with commas or white space between; raise ValueError, with what to write."""
        parts = [part for part in _SEPARATORS.split(text) if part]
        if len(parts) > MAX_NETWORKS:
            raise ValueError(f"{len(parts)} networks, {MAX_NETWORKS} are allowed")
        networks = tuple(_network(part) for part in parts)
        ranges = _merged(networks)
        return cls(networks, [start for start, _ in ranges], [end for _, end in ranges])

    def contains(self, client_ip: str) -> bool:
        """Return whether a client's address is in one of the networks; a text that is no plain address never is."""
        address = address_of(client_ip)
        return address is not None and self.contains_address(address)

    def contains_address(self, address: Address) -> bool:
        """Return whether an address that `address_of` returned is in one of the networks."""
        point = address.version, int(address)
        place = bisect_right(self._starts, point) - 1
        return place >= 0 and point <= self._ends[place]

    def __str__(self) -> str:
        """Write the list as `parse` reads it."""
        return ", ".join(map(str, self.listed))


def address_of(text: str) -> Address | None:
    """Return the address that a text is: None with a port, a zone, brackets, spaces or anything else around it."""
    return _address_of(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)  # callers are few, and come again and again
def _address_of(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return None if address.scope_id is not None else address.ipv4_mapped or address


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be reached from this machine."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _network(text: str) -> Network:
    address, slash, length = text.partition("/")
    if slash and not (length.isascii() and length.isdigit()):
        raise ValueError(f"{text!a}: behind / stands the number of fixed bits, as in 192.0.2.0/24")
    try:
        network = ipaddress.ip_network(text, strict=False)
        same = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"{text!a} is neither an address nor a network such as 192.0.2.0/24") from None
    if "%" in text:
        raise ValueError(f"{text!a}: a zone (%) means something on one machine only; leave it out")
    if network.network_address != same:
        raise ValueError(f"{text!a} is an address in the network {network}: write that, or {address} for it alone")
    return _unmapped(network)


def _unmapped(network: Network) -> Network:
    """Return ::ffff:192.0.2.0/120 as what it means."""
    if isinstance(network, ipaddress.IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    return ipaddress.IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - _MAPPED.prefixlen))


def _merged(networks: Sequence[Network]) -> list[tuple[_Point, _Point]]:
    """Return the networks as ranges in order, none inside another, so that the last start before a point decides."""
    ranges: list[tuple[_Point, _Point]] = []
    for network in sorted(networks, key=lambda network: (network.version, int(network.network_address))):
        start = network.version, int(network.network_address)
        end = network.version, int(network.broadcast_address)
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(end, ranges[-1][1])
        else:
            ranges.append((start, end))
    return ranges
