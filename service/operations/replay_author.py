"""Owns whose a rejected postback is when it is replayed: what proved its sender, or whom a person names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.core.outcome import Outcome
from service.core.presets import EZMOB, PRESETS
from service.core.sender import Sender
from service.storage.schema.tables import RejectedPostback

_UNPROVEN = frozenset({Outcome.UNAUTHENTICATED.value, Outcome.FORBIDDEN.value})


def is_unproven(rejected: RejectedPostback) -> bool:
    """Tell whether nothing proved who sent it, or that this sender might."""
    return rejected.sender is None or rejected.outcome in _UNPROVEN


@dataclass(frozen=True, slots=True)
class Author:
    """Who replays, and what that person says of senders.

    `vouches`: what came without proof is from `sender`, the configured one. `claims`: it is this sender's, by whose
    rules it is judged; what is another's is left alone then. `registered` are the senders that go before the presets of
    their names, and `key_owners` says whose the keys are, by their public ids.
    """

    name: str
    vouches: bool = False
    sender: Sender = EZMOB
    registered: Mapping[str, Sender] = field(default_factory=dict)
    claims: Sender | None = None
    key_owners: Mapping[str, str] = field(default_factory=dict)

    def whose(self, rejected: RejectedPostback) -> Sender | None:
        """Return by whose rules it is judged; None: that is not known, so it is left alone."""
        if self.claims:
            return self.claims if self._may_be(self.claims.name, rejected) else None
        if is_unproven(rejected) and not self.vouches:
            return None
        if rejected.sender in (None, self.sender.name):
            return self.sender
        return {**PRESETS, **self.registered}.get(str(rejected.sender))

    def _may_be(self, claimed: str, rejected: RejectedPostback) -> bool:
        """Tell whether a person may say that it is this sender's: of a registered sender's own nobody says so.

        Neither of what showed another sender's key. In open mode nothing proves that the configured sender sent it.
        """
        if self.key_owners.get(rejected.key_id or "", claimed) != claimed:
            return False
        return rejected.sender in (None, claimed) or rejected.sender not in self.registered
