"""A spaCy component that tells whether a concept is affirmed, denied, past, or somebody else's.

After ConText (Harkema et al. 2009): cues before and behind a concept reach it unless something ends their scope, and
some words only look like a denial. The cues are data (`lexicon.yaml`). Beyond ConText: a denial ends at a comma
unless a list goes on, a year that lies well back makes a concept past, and a relative, a neighbour or another name
in the place of the subject makes it theirs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from spacy.tokens import Doc

from bridge.notes.concepts import (
    COMMA,
    CUES,
    LIST_WORD,
    MENTIONS,
    NOTE_YEAR,
    RELATES,
    SINCE,
    TURN,
    YEAR,
    Cues,
    Mention,
)
from bridge.notes.lexicon import DENIES, PAST, SAYS, Lexicon

AFFIRMED, DENIED, HISTORICAL, THIRD_PARTY = "affirmed", "denied", "historical", "third_party"
POLARITIES = (AFFIRMED, DENIED, HISTORICAL, THIRD_PARTY)

REACH_BEFORE, REACH_AFTER = 8, 10
"""Words that may stand between a cue and a concept."""
SUBJECT_REACH = 6
YEARS_BACK = 2
"""A year at least so many years before the note's makes what it stands with past."""

DENIED_BEFORE, DENIED_AFTER = "denied/before", "denied/after"
PAST_BEFORE, PAST_AFTER = "historical/before", "historical/after"
THIRD_BEFORE, THIRD_AFTER = "third_party/before", "third_party/after"
NOT_DENIED, ENDS, OTHERS, SUFFERS, REPORTS = "not_denied", "ends", "others", "suffers", "reports"
_CUES = (DENIED_BEFORE, DENIED_AFTER, PAST_BEFORE, PAST_AFTER, THIRD_BEFORE, THIRD_AFTER, NOT_DENIED)

Place = tuple[int, int]


class ContextReader:
    """The component: gives every mention of a note its polarity, and joins those that say one thing."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.done_by_others = lexicon.done_by_others

    def __call__(self, doc: Doc) -> Doc:
        mentions: list[Mention] = doc.user_data[MENTIONS]
        if mentions:
            note = _Note(doc, doc.user_data[CUES], mentions)
            for mention in mentions:
                mention.polarity = self._polarity(note, mention)
            doc.user_data[MENTIONS] = _joined(note, mentions)
        return doc

    def _polarity(self, note: _Note, mention: Mention) -> str:
        if self._of_somebody_else(note, mention):
            return THIRD_PARTY
        if mention.kind == PAST:
            return HISTORICAL
        behind = None
        if mention.kind == DENIES:
            denied = not note.denied_before(mention)
        else:
            behind = note.behind(mention, DENIED_AFTER)
            denied = behind is not None or note.denied_before(mention)
        past_cue = note.before(mention, PAST_BEFORE, REACH_BEFORE) or note.past_behind(mention, denied=denied)
        year = note.year_near(mention, denied=denied)
        if past_cue or year == "segment" or (year == "sentence" and not denied):
            return HISTORICAL
        if behind is not None:
            mention.end = behind[1]
        return DENIED if denied else AFFIRMED

    def _of_somebody_else(self, note: _Note, mention: Mention) -> bool:
        if note.before(mention, THIRD_BEFORE, REACH_BEFORE) or note.behind(mention, THIRD_AFTER):
            return True
        subjects = note.subjects_before(mention)
        if not subjects:
            return False
        if mention.concept not in self.done_by_others:
            return True
        last = max(end for _, end in subjects)
        return any(
            last <= start < mention.end and start - last <= 2 for start, _ in note.places.get(SUFFERS, ())
        )


class _Note:
    """The cues of one note, sorted for asking."""

    def __init__(self, doc: Doc, cues: Cues, mentions: list[Mention]) -> None:
        self.sentence, self.flags = cues.sentence, cues.flags
        # The comma before "who" parts nothing.
        flags, last = cues.flags, len(cues.flags) - 1
        self.commas = [
            place
            for place, flag in cues.marked
            if flag & COMMA and not (place < last and flags[place + 1] & RELATES)
        ]
        self.places = dict(cues.places)
        self._keep_longest()
        self.names = cues.other_names
        self.turns = [place for place, flag in cues.marked if flag & TURN]
        self.in_mentions = {place for mention in mentions for part in mention.parts for place in range(*part)}
        # A denial that belongs to a saying ("no food") denies nothing else.
        self.in_sayings = {
            place
            for mention in mentions
            if mention.kind == SAYS
            for part in mention.parts
            for place in range(*part)
        }
        year: int | None = doc.user_data.get(NOTE_YEAR)
        self.years = [
            place
            for place, flag in cues.marked
            if flag & YEAR and year is not None and int(doc[place].text) <= year - YEARS_BACK
        ]

    def _keep_longest(self) -> None:
        """Of cues inside one another the longest counts: "no longer" is no "no"."""
        longest: dict[int, Place] = {}
        for name in _CUES:
            for place in self.places.get(name, ()):
                for word in range(*place):
                    other = longest.get(word)
                    if other is None or place[1] - place[0] > other[1] - other[0]:
                        longest[word] = place
        for name in _CUES:
            if name in self.places:
                self.places[name] = [
                    (start, end)
                    for start, end in self.places[name]
                    if longest[start] == (start, end) or longest[start][1] < end
                ]

    def denied_before(self, mention: Mention) -> bool:
        """True if a denial reaches the mention from before or from inside."""
        unreal = self.places.get(NOT_DENIED, ())
        for start, end in self.places.get(DENIED_BEFORE, ()):
            if (
                self._in_parts(mention, start, end)
                or start in self.in_sayings
                or any(start < right and end > left for left, right in unreal)
            ):
                continue
            if self._inside(mention, start) or (
                self._same(mention, start)
                and end <= mention.start
                and mention.start - end <= REACH_BEFORE
                and not self._ended(end, mention.start)
                and self._list_goes_on(end, mention.start)
            ):
                return True
        return False

    def before(self, mention: Mention, name: str, reach: int) -> bool:
        """True if a cue of the set stands before the mention, or inside it, in the same piece of the sentence."""
        for start, end in self.places.get(name, ()):
            near = self._inside(mention, start) or (
                end <= mention.start
                and mention.start - end <= reach
                and self._same(mention, start)
                and not self._parted(end, mention.start)
            )
            if near and not self._in_parts(mention, start, end):
                return True
        return False

    def behind(self, mention: Mention, name: str) -> Place | None:
        """Return a cue of the set that stands behind the mention, if nothing turns the sentence in between."""
        for start, end in self.places.get(name, ()):
            if (
                start >= mention.end
                and start - mention.end <= REACH_AFTER
                and self._same(mention, start)
                and not self._turned(mention.end, start)
                and not self._in_parts(mention, start, end)
                and not any(place in self.in_mentions for place in range(mention.end, start))
            ):
                return start, end
        return None

    def past_behind(self, mention: Mention, *, denied: bool) -> bool:
        """True if words behind the mention put it in the past; behind a comma they say nothing of a denial."""
        cue = self.behind(mention, PAST_AFTER)
        return cue is not None and not (denied and self._parted(mention.end, cue[0]))

    def year_near(self, mention: Mention, *, denied: bool) -> str | None:
        """`segment`: a year well back stands between the same commas; `sentence`: in the same sentence. Of a denial
        the year since when it holds does not count.
        """
        near = None
        for place in self.years:
            if not self._same(mention, place):
                continue
            first, last = min(place, mention.start), max(place, mention.end)
            if denied and any(self.flags[word] & SINCE for word in range(mention.end, place)):
                continue
            if self._turned(first, last) and place > mention.start:
                near = near or ("sentence" if self._inside(mention, place) else None)
                continue
            if not self._parted(first, last):
                return "segment"
            near = "sentence"
        return near

    def subjects_before(self, mention: Mention) -> list[Place]:
        """Relatives, neighbours and other names that stand where the subject stands: before the mention, with no comma
        between, or at its beginning.
        """
        found = []
        if not self.names and OTHERS not in self.places:
            return []
        tells = [start for start, _ in self.places.get(REPORTS, ())]
        for start, end in self.places.get(OTHERS, ()):
            if self._takes_part(mention, start) or any(0 <= place - end <= 1 for place in tells):
                continue
            near = (end <= mention.start and mention.start - end <= SUBJECT_REACH) or start == mention.start
            if near and self._same(mention, start) and not self._parted(end, mention.start):
                found.append((start, end))
        for start, end in self.names:
            if self._takes_part(mention, start) or any(0 <= place - end <= 1 for place in tells):
                continue
            near = end <= mention.start and mention.start - end <= 3
            if near and self._same(mention, start) and not self._parted(end, mention.start):
                found.append((start, end))
        return found

    def _takes_part(self, mention: Mention, place: int) -> bool:
        return self._in_parts(mention, place, place + 1)

    def _same(self, mention: Mention, place: int) -> bool:
        return self.sentence[place] == self.sentence[mention.start]

    def _inside(self, mention: Mention, place: int) -> bool:
        return mention.start <= place < mention.end

    def _in_parts(self, mention: Mention, start: int, end: int) -> bool:
        # Asked for every cue of every mention: a generator would take twice as long.
        for left, right in mention.parts:  # noqa: SIM110
            if start < right and end > left:
                return True
        return False

    def _parted(self, first: int, last: int) -> bool:
        return _any_between(self.commas, first, last) or self._turned(first, last)

    def _turned(self, first: int, last: int) -> bool:
        return _any_between(self.turns, first, last)

    def _ended(self, first: int, last: int) -> bool:
        return any(first <= start < last for start, _ in self.places.get(ENDS, ()))

    def _list_goes_on(self, first: int, last: int) -> bool:
        """True if no comma parts the two places, or only the commas of a list of concepts."""
        if not _any_between(self.commas, first, last):
            return True
        return all(place in self.in_mentions or self.flags[place] & LIST_WORD for place in range(first, last))


def _any_between(places: list[int], first: int, last: int) -> bool:
    place = bisect_left(places, first)
    return place < len(places) and places[place] < last


def _joined(note: _Note, mentions: Iterable[Mention]) -> list[Mention]:
    """Join mentions of one concept in one sentence that have one polarity. A denial by itself goes before what it
    overlaps.
    """
    denials = [mention for mention in mentions if mention.kind == DENIES]
    joined: dict[tuple[str, int, str], Mention] = {}
    for mention in mentions:
        if mention.kind != DENIES and any(
            other.concept == mention.concept and other.start < mention.end and other.end > mention.start
            for other in denials
        ):
            continue
        key = (mention.concept, note.sentence[mention.start], mention.polarity)
        other = joined.get(key)
        if other is None:
            joined[key] = mention
        else:
            other.start, other.end = min(other.start, mention.start), max(other.end, mention.end)
            other.parts += mention.parts
            other.confidence = max(other.confidence, mention.confidence)
    return list(joined.values())
