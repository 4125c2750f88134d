"""The last notice of a topic, where a signature decides which one that is.

Nothing links notices, so a notice that was stored a second time has to be known by its place: it
names, and its signature covers, the sequence of the topic's message before it.  What is forged,
or out of turn, changes nothing: the state is what the last genuine notice says, while its place
is that of the topic's last message, whatever that is, since that is what the broker expects.

Left out: how messages are got.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from events.codec import Message, is_number
from events.notices import AFTER, Draft, Noted, noted

if TYPE_CHECKING:
    from events.keys import Keyring


def read_notice(message: Message) -> Noted:
    """A stored notice, whoever wrote it."""
    return noted(message.seq, message.subject, message.body, message.time_s)


def flaw(message: Message, before: int, keyring: Keyring) -> str:
    """Why a message is no notice of a service; empty where it is one.

    ``before`` is the sequence of the topic's message before it, 0 where there is none.
    """
    signer, why = keyring.check(message)
    if signer and not before <= claimed_before(message) < message.seq:
        return f"signed by {signer} for another place, and stored again"
    return why


def claimed_before(message: Message) -> int:
    """The sequence that a notice names as the one of its topic before it; -1: none."""
    text = message.headers.get(AFTER, "")
    return int(text) if is_number(text) else -1


def is_posted(draft: Draft, stored: Message, keyring: Keyring | None) -> bool:
    """Whether the message that follows where a notice was to be stored is that very notice."""
    ours = stored.headers.get("ce-id") == draft.id and stored.body == draft.body
    return ours and not (keyring is not None and flaw(stored, draft.after, keyring))


def last_genuine(messages: Iterable[Message], keyring: Keyring) -> Noted | None:
    """The state of a topic of which these are all messages, in order; None if there are none."""
    last: Message | None = None
    found: Noted | None = None
    for message in messages:
        if not flaw(message, last.seq if last else 0, keyring):
            found = read_notice(message)
        last = message
    if last is None:
        return None
    if found is None:
        return msgspec.structs.replace(read_notice(last), notice=None, forged_only=True)
    return msgspec.structs.replace(found, seq=last.seq)
