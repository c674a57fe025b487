"""Owns the proof that refusing a signature takes as long whether its beginning is right or wrong.

    python -m tests.load.comparing [SAMPLES]

Two classes of wrong signatures, one right up to its last digit and one wrong from its first, are refused in random
order; Welch's t-test says whether their times differ. |t| < 4.5 is the bound of the test for leaks in cryptographic
devices (TVLA). A comparison that stops at the first wrong byte is measured beside it: it must be found, or nothing is
proven.
"""

import base64
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from math import sqrt

from service.auth.signature import check_query, check_webhook, new_secret, sign_query, sign_webhook
from service.core.outcome import Rejected

_SAMPLES = 100_000
_BOUND = 4.5
_KEPT = 0.95  # of the times, the shortest: the rest is what else the machine does
_AT_ONCE = 100  # copies made before any of them is measured, so that place and cache say nothing of the class
_AT = 1_767_323_045
_BODY = b'{"c":"6f1c2a","value":"1.50"}'
_KINDS = (b"0123456789", b"abcdef", b"ghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"+/")
# Another digit of the same kind: a pattern takes longer for letters, which the caller knows without measuring.
_ANOTHER = bytes.maketrans(b"".join(_KINDS), b"".join(kind[1:] + kind[:1] for kind in _KINDS))

Refuse = Callable[[bytes], object]
Classes = tuple[bytes, bytes]  # signatures: right up to the last, wrong from the first


def main(samples: int) -> int:
    """Print a line for each comparison; return 0 if only the one that stops early is found."""
    leaks = {name: _measure(name, refuse, classes, samples) for name, refuse, classes in _subjects()}
    return 0 if [name for name, leak in leaks.items() if leak] == ["a loop that stops early"] else 1


def _subjects() -> list[tuple[str, Refuse, Classes]]:
    secrets = [new_secret(), new_secret()]
    query, _, in_hex = sign_query(b"c=6f1c2a&value=1.50", secrets[1], _AT).rpartition(b"=")
    headers = sign_webhook("msg_1", _BODY, secrets[1], _AT)
    in_base64 = headers.pop("webhook-signature").removeprefix("v1,").encode()
    others = [(name.encode(), value.encode()) for name, value in headers.items()]

    def query_refused(signature: bytes) -> None:
        try:
            check_query(query + b"=" + signature, secrets, _AT)
        except Rejected:
            return
        raise AssertionError("a wrong signature was taken")

    def webhook_refused(signature: bytes) -> None:
        try:
            check_webhook([*others, (b"webhook-signature", b"v1," + signature)], _BODY, secrets, _AT)
        except Rejected:
            return
        raise AssertionError("a wrong signature was taken")

    def stops_early(signature: bytes) -> bool:
        return all(one == other for one, other in zip(in_hex, signature, strict=True))

    base64.b64decode(in_base64, validate=True)  # what is compared is what was sent
    return [
        ("sig of a query", query_refused, _classes(in_hex)),
        ("webhook-signature", webhook_refused, _classes(in_base64.rstrip(b"="), b"=")),
        ("a loop that stops early", stops_early, _classes(in_hex)),
    ]


def _classes(right: bytes, behind: bytes = b"") -> Classes:
    first, last = (right[at : at + 1 or None].translate(_ANOTHER) for at in (0, -1))
    return right[:-1] + last + behind, first + right[1:] + behind


def _measure(name: str, refuse: Refuse, classes: Classes, samples: int) -> bool:
    times: tuple[list[int], list[int]] = ([], [])
    order = [0, 1] * samples
    random.shuffle(order)
    for which in order[:2000]:
        refuse(classes[which])
    gc.collect()
    gc.disable()
    for first in range(0, len(order), _AT_ONCE):
        drawn = order[first : first + _AT_ONCE]
        for which, signature in zip(drawn, [bytes(bytearray(classes[which])) for which in drawn], strict=True):
            started = time.perf_counter_ns()
            refuse(signature)
            times[which].append(time.perf_counter_ns() - started)
    gc.enable()
    bound = sorted(times[0] + times[1])[int(2 * samples * _KEPT)]
    kept = [[one for one in some if one < bound] for some in times]
    t = _welch(*kept)
    means = [statistics.fmean(some) for some in kept]
    sys.stdout.write(
        f"{name}: right up to the last {means[0]:.1f} ns, wrong from the first {means[1]:.1f} ns, "
        f"t = {t:+.2f} ({_welch(*times):+.2f} with the longest twentieth), {samples} samples a class\n"
    )
    return abs(t) >= _BOUND


def _welch(one: list[int], other: list[int]) -> float:
    """Return Welch's t of two samples."""
    errors = [statistics.variance(some) / len(some) for some in (one, other)]
    return (statistics.fmean(one) - statistics.fmean(other)) / sqrt(sum(errors))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else _SAMPLES))
