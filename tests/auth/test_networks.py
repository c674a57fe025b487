"""Lists of networks: how they are written and what is said of a slip, and which clients' addresses are in them."""

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.networks import MAX_NETWORKS, Networks, address_of

LISTED = "192.0.2.0/24, 198.51.100.7, 10.0.0.0/8, 2001:db8::/32, 2001:db9::5"

INSIDE = {
    "first of a network": "192.0.2.0",
    "last of a network": "192.0.2.255",
    "the only one": "198.51.100.7",
    "in a large one": "10.255.0.1",
    "IPv6": "2001:db8::1",
    "last of IPv6": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "IPv6 in capitals": "2001:DB8::A",
    "IPv6 written out": "2001:0db8:0000:0000:0000:0000:0000:0001",
    "IPv6, the only one": "2001:db9::5",
    "IPv4 as IPv6": "::ffff:192.0.2.1",
    "IPv4 as IPv6 in capitals": "::FFFF:192.0.2.1",
    "IPv4 as IPv6 in hexadecimal": "::ffff:c000:201",
    "IPv4 as IPv6 written out": "0000:0000:0000:0000:0000:ffff:192.0.2.255",
}
OUTSIDE = {
    "before a network": "192.0.1.255",
    "behind a network": "192.0.3.0",
    "before the only one": "198.51.100.6",
    "behind the only one": "198.51.100.8",
    "before all": "0.0.0.0",
    "behind all": "255.255.255.255",
    "before IPv6": "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "behind IPv6": "2001:db9::",
    "IPv4 as IPv6, another": "::ffff:192.0.3.1",
    "IPv4 in IPv6's old form": "::192.0.2.1",
    "IPv4 behind NAT64": "64:ff9b::192.0.2.1",
    "IPv4 in 6to4": "2002:c000:0201::1",
    "IPv6 whose number is an IPv4 address's": "::c000:201",
    "empty": "",
    "a space": " ",
    "a space in front": " 192.0.2.1",
    "a space behind": "192.0.2.1 ",
    "a line break behind": "192.0.2.1\n",
    "a NUL behind": "192.0.2.1\0",
    "a port": "192.0.2.1:80",
    "brackets": "[2001:db8::1]",
    "brackets and a port": "[2001:db8::1]:80",
    "a zone": "2001:db8::1%eth0",
    "an empty zone": "2001:db8::1%",
    "a zone on an IPv4 address as IPv6": "::ffff:192.0.2.1%1",
    "a network": "192.0.2.0/24",
    "leading zeros": "192.000.002.001",
    "octal": "0300.0.2.1",
    "hexadecimal": "0xc0000201",
    "one number": "3221225985",
    "three numbers": "192.0.2",
    "five numbers": "192.0.2.1.1",
    "too large": "192.0.2.256",
    "Arabic digits": "١٩٢.0.2.1",
    "full-width digits": "\uff1192.0.2.1",
    "a name": "localhost",
    "unknown": "unknown",
    "obfuscated": "_hidden",
    "two addresses": "192.0.2.1, 192.0.2.1",
    "a unix socket": "unix:/run/proxy",
    "very long": "192.0.2.1" + "0" * 100_000,
}


@pytest.mark.parametrize("client_ip", INSIDE.values(), ids=INSIDE)
def test_an_address_in_one_of_the_networks_is_included(client_ip: str) -> None:
    assert Networks.parse(LISTED).contains(client_ip)


@pytest.mark.parametrize("client_ip", OUTSIDE.values(), ids=OUTSIDE)
def test_any_other_text_is_not(client_ip: str) -> None:
    assert not Networks.parse(LISTED).contains(client_ip)
    assert not Networks.parse("").contains(client_ip)


def test_the_two_versions_never_meet() -> None:
    assert not Networks.parse("::/0").contains("192.0.2.1")
    assert not Networks.parse("::/0").contains("::ffff:192.0.2.1")
    assert not Networks.parse("0.0.0.0/0").contains("::1")
    assert Networks.parse("::/0").contains("::1")
    assert Networks.parse("0.0.0.0/0").contains("::ffff:192.0.2.1")


FORMS = {
    "empty": ("", ""),
    "separators only": (" , \n,\t", ""),
    "an address": ("192.0.2.1", "192.0.2.1/32"),
    "an IPv6 address": ("2001:DB8:0::1", "2001:db8::1/128"),
    "commas": ("192.0.2.1,10.0.0.0/8", "192.0.2.1/32, 10.0.0.0/8"),
    "commas and spaces": (" 192.0.2.1 , 10.0.0.0/8, ", "192.0.2.1/32, 10.0.0.0/8"),
    "lines": ("192.0.2.1\n10.0.0.0/8\r\n", "192.0.2.1/32, 10.0.0.0/8"),
    "IPv4 as IPv6": ("::ffff:192.0.2.1", "192.0.2.1/32"),
    "a network of IPv4 as IPv6": ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    "all of IPv4 as IPv6": ("::ffff:0:0/96", "0.0.0.0/0"),
    "twice the same": ("10.0.0.0/8 10.0.0.0/8", "10.0.0.0/8, 10.0.0.0/8"),
}


@pytest.mark.parametrize(("text", "written"), FORMS.values(), ids=FORMS)
def test_a_list_is_read_in_every_usual_form_and_written_in_one(text: str, written: str) -> None:
    assert str(Networks.parse(text)) == written
    assert str(Networks.parse(written)) == written


MISTAKES = {
    "host bits": ("10.1.2.3/8", "'10.1.2.3/8' is an address in the network 10.0.0.0/8: write that, or 10.1.2.3 for it"),
    "host bits of IPv6": ("2001:db8::1/64", "in the network 2001:db8::/64: write that, or 2001:db8::1 for it alone"),
    "one wrong among good ones": ("10.0.0.0/8, 192.0.2.1/24", "network 192.0.2.0/24"),
    "a name": ("proxy.example", "'proxy.example' is neither an address nor a network"),
    "too many bits": ("192.0.2.0/33", "'192.0.2.0/33' is neither"),
    "no bits": ("192.0.2.0/", "behind / stands the number of fixed bits"),
    "negative bits": ("192.0.2.0/-1", "behind / stands the number of fixed bits"),
    "a netmask": ("192.0.2.0/255.255.255.0", "behind / stands the number of fixed bits"),
    "a host mask": ("192.0.2.0/0.0.0.255", "behind / stands the number of fixed bits"),
    "two slashes": ("192.0.2.0/24/24", "behind / stands the number of fixed bits"),
    "Arabic bits": ("192.0.2.0/٢٤", "behind / stands the number of fixed bits"),
    "a range": ("192.0.2.1-192.0.2.9", "is neither"),
    "a star": ("*", "is neither"),
    "a star for a number": ("192.0.2.*", "is neither"),
    "a port": ("192.0.2.1:80", "is neither"),
    "brackets": ("[2001:db8::1]", "is neither"),
    "leading zeros": ("192.000.002.001", "is neither"),
    "a zone": ("fe80::1%eth0", "'fe80::1%eth0': a zone"),
    "a semicolon": ("10.0.0.0/8;192.0.2.1", "behind / stands"),
    "control characters are shown harmless": ("192.0.2.1\x1b[31m", r"'192\.0\.2\.1\\x1b\[31m' is neither"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_slip_is_told_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Networks.parse(text)


def test_a_thousand_networks_are_allowed_and_one_more_is_not() -> None:
    texts = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(MAX_NETWORKS + 1)]
    assert len(Networks.parse(",".join(texts[:-1])).listed) == MAX_NETWORKS
    with pytest.raises(ValueError, match="1001 networks, 1000 are allowed"):
        Networks.parse(",".join(texts))


ADDRESSES = st.ip_addresses(network="192.0.2.0/26") | st.ip_addresses(network="2001:db8::/122")


@st.composite
def networks(draw: st.DrawFn) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a network in a small room, so that many overlap."""
    address = draw(ADDRESSES)
    return ipaddress.ip_network((int(address), address.max_prefixlen - draw(st.integers(0, 6))), strict=False)


@given(st.lists(networks(), max_size=12), ADDRESSES)
def test_a_list_includes_what_one_of_its_networks_includes(
    listed: list[ipaddress.IPv4Network | ipaddress.IPv6Network], address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    found = Networks.parse(" ".join(map(str, listed))).contains(str(address))
    assert found == any(address in network for network in listed)


def test_a_thousand_networks_decide_as_one_by_one_would() -> None:
    chance = random.Random(4)  # noqa: S311 - no secret
    listed = [
        ipaddress.ip_network((chance.getrandbits(32) & ~((1 << bits) - 1), 32 - bits)) for bits in [4, 8, 12, 20] * 250
    ]
    parsed = Networks.parse(" ".join(map(str, listed)))
    addresses = [ipaddress.IPv4Address(chance.getrandbits(32)) for _ in range(300)]
    decided = [parsed.contains(str(address)) for address in addresses]
    assert decided == [any(address in network for network in listed) for address in addresses]
    assert 0 < sum(decided) < 300


@given(st.text(max_size=60))
def test_no_text_is_more_than_no_address(text: str) -> None:
    address = address_of(text)
    assert address is None or address_of(str(address)) == address
