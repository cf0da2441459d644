"""Names in standard form: lower-case Latin letters, one word for a surname, one for the first forename.

A step takes the distinct texts of a column and returns them changed, null where nothing is known. Their order is part
of the rule: ADR 0010 says why each stands where it does, `standardise.yaml` holds the words and an example of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from anyascii import anyascii

from bridge.standardise.rules import Spellings, rules

Step = Callable[[pa.Array], pa.Array]


class Name(NamedTuple):
    """A person's name in standard form, a column each: null where it is not known."""

    forename: pa.Array
    middle_name: pa.Array
    surname: pa.Array


def only_where(found: pa.Array, texts: pa.Array, change: Step) -> pa.Array:
    """Apply `change` to those of `texts` that `found` marks: most steps touch few, and looking is the cheaper part."""
    marked = pc.fill_null(found, False)
    if not pc.any(marked).as_py():
        return texts
    return pc.replace_with_mask(texts, marked, change(texts.filter(marked)))


# Text of any name.


def lower_case(texts: pa.Array) -> pa.Array:
    """Lower case, trimmed: systems that shout say the same."""
    return pc.utf8_trim_whitespace(pc.utf8_lower(texts))


def latin_letters(texts: pa.Array) -> pa.Array:
    """Marks taken off, other scripts in Latin letters (`anyascii`): `żak` gives `zak`, `ßen` gives `ssen`."""
    marked = pc.not_equal(pc.utf8_length(texts), pc.binary_length(texts))
    return only_where(marked, texts, _in_latin_letters)


def _in_latin_letters(texts: pa.Array) -> pa.Array:
    return pa.array([anyascii(text).lower() for text in texts.to_pylist()], pa.string())


def known(texts: pa.Array) -> pa.Array:
    """Null where the whole text says that nothing is known (`N/A`, `Mr Unknown`), or is a title alone."""
    bare = pc.replace_substring_regex(texts, rf"^(?:(?:{rules().titles_anywhere})\.? +)+", "")
    missing = pc.is_in(bare, value_set=rules().missing)
    title = pc.match_substring_regex(texts, rf"^(?:{rules().titles_anywhere})\.?$")
    return pc.if_else(pc.or_(missing, title), None, texts)


def without_brackets(texts: pa.Array) -> pa.Array:
    """What stands in brackets is a remark or a nickname, unless it is all there is."""
    return only_where(pc.match_substring(texts, "("), texts, _bracketed_away)


def _bracketed_away(texts: pa.Array) -> pa.Array:
    bare = pc.replace_substring_regex(texts, r" *\([^)]*\) *", " ")
    return pc.if_else(pc.match_substring_regex(bare, r"[^\s,]"), bare, texts)


def without_apostrophes(texts: pa.Array) -> pa.Array:
    """`o'brien`, `o’brien` and `obrien` are one name."""
    return pc.replace_substring_regex(texts, "['`´‘’ʼʻ]", "")


def digits_read_as_letters(texts: pa.Array) -> pa.Array:
    """A digit between letters was misread: `j0nes`, `wi1liams`."""
    return only_where(pc.match_substring_regex(texts, "[a-z][015]"), texts, _misread_digits)


def _misread_digits(texts: pa.Array) -> pa.Array:
    for digit, letter in (("0", "o"), ("1", "l"), ("5", "s")):
        texts = pc.replace_substring_regex(texts, f"([a-z]){digit}", rf"\1{letter}")
    return texts


def hyphens_joined(texts: pa.Array) -> pa.Array:
    """A hyphen joins: systems lose it, so `mary-ann` is one word."""
    return pc.replace_substring(texts, "-", "")


def words(texts: pa.Array) -> pa.Array:
    """Words of letters with one space between, all else gone; null if none is left."""
    spaced = pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, "[^a-z]+", " "))
    return pc.if_else(pc.equal(spaced, ""), None, spaced)


def without_titles(texts: pa.Array) -> pa.Array:
    """Titles in front fall away, some wherever they stand, but never the last word left."""
    bare = pc.replace_substring_regex(texts, rf"^(?:(?:{rules().titles}) )+", "")
    return pc.replace_substring_regex(bare, rf"(?: (?:{rules().titles_anywhere}))+( |$)", r"\1")


def without_suffixes(texts: pa.Array) -> pa.Array:
    """`jnr`, `obe`, `decd` behind a name."""
    return pc.replace_substring_regex(texts, rf"(?: (?:{rules().suffixes}))+$", "")


ANY_NAME: tuple[Step, ...] = (
    lower_case,
    latin_letters,
    known,
    without_brackets,
    without_apostrophes,
    digits_read_as_letters,
    hyphens_joined,
    words,
    without_titles,
    without_suffixes,
)

# Surnames.


def without_name_of_baptism(texts: pa.Array) -> pa.Array:
    """Singh or Kaur beside another surname falls away: some systems hold both, some the other alone."""
    names = rules().names_of_baptism
    bare = pc.replace_substring_regex(texts, rf"^(?:(?:{names}) )+", "")
    return pc.replace_substring_regex(bare, rf"(?: (?:{names}))+$", "")


def joined(texts: pa.Array) -> pa.Array:
    """One word: particles and both halves of a double surname stay, whether they were written apart or not."""
    return pc.replace_substring(texts, " ", "")


def mans_form(texts: pa.Array) -> pa.Array:
    """The man's form of a Slavic woman's surname: a register that knows one form writes it for both."""
    for ending, mans in rules().womens_endings:
        found = pc.and_(pc.ends_with(texts, ending), pc.greater(pc.binary_length(texts), len(ending) + 1))
        texts = only_where(found, texts, _ending_replaced(ending, mans))
    return texts


def _ending_replaced(ending: str, other: str) -> Step:
    return lambda texts: pc.replace_substring_regex(texts, f"{ending}$", other)


SURNAME: tuple[Step, ...] = (*ANY_NAME, without_name_of_baptism, joined, mans_form)

# Forenames.


def particles_joined(texts: pa.Array) -> pa.Array:
    """A particle in front belongs to the word after it: `de shawn`, `el hadj`, `o neill` in the wrong field."""
    chain = rf"^(?:(?:{rules().forename_particles}) )+"
    return only_where(pc.match_substring_regex(texts, chain), texts, _chain_joined(chain))


def _chain_joined(chain: str) -> Step:
    def join(texts: pa.Array) -> pa.Array:
        particles = pc.replace_substring_regex(texts, rf"({chain}).*", r"\1")
        rest = pc.replace_substring_regex(texts, chain, "")
        return pc.binary_join_element_wise(joined(particles), rest, "")

    return join


def first_word_spelt_alike(texts: pa.Array) -> pa.Array:
    """Transliterations of one name get one spelling: Mohammed."""
    return _first_word_replaced(texts, rules().one_spelling)


def first_word_in_full(texts: pa.Array) -> pa.Array:
    """An English short form that stands for one name alone becomes it: Bob, Robert."""
    return _first_word_replaced(texts, rules().whole_forms)


FORENAMES: tuple[Step, ...] = (*ANY_NAME, particles_joined, first_word_spelt_alike, first_word_in_full)
"""The first word is the forename; what follows are middle names."""


def _first_word_replaced(texts: pa.Array, spellings: Spellings) -> pa.Array:
    place = pc.index_in(first_word(texts), value_set=spellings.written)
    found = pc.is_valid(place)
    if not pc.any(found).as_py():
        return texts
    standard = spellings.standard.take(place.filter(found))
    rest = pc.replace_substring_regex(texts.filter(found), "^[^ ]+", "")
    return pc.replace_with_mask(texts, found, pc.binary_join_element_wise(standard, rest, ""))


def first_word(texts: pa.Array) -> pa.Array:
    """The first word of each text."""
    return pc.replace_substring_regex(texts, " .*", "")


def first_and_rest(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Split forenames into the first and the middle names."""
    several = pc.match_substring(texts, " ")
    rest = pc.replace_substring_regex(pc.if_else(several, texts, None), "^[^ ]+ ", "")
    return first_word(texts), rest


# Full names: cleaned a little, then split by the first way that fits.


def composed(texts: pa.Array) -> pa.Array:
    """NFKC: full-width letters, ligatures and letters with separate marks become the usual ones."""
    return pc.utf8_normalize(texts, "NFKC")


def spaces_even(texts: pa.Array) -> pa.Array:
    """One space between words, none before a comma, no dots."""
    uneven = pc.match_substring_regex(texts, r"[.\t\n\r]|  | ,|^ | $")
    return only_where(uneven, texts, _spaced_evenly)


def _spaced_evenly(texts: pa.Array) -> pa.Array:
    spaced = pc.replace_substring_regex(texts, r"[\s.]+", " ")
    return pc.utf8_trim_whitespace(pc.replace_substring(spaced, " ,", ","))


def known_full_name(texts: pa.Array) -> pa.Array:
    """Null where the whole field says that nothing is known."""
    return pc.if_else(pc.is_valid(known(lower_case(texts))), texts, None)


def without_titles_as_written(texts: pa.Array) -> pa.Array:
    """Titles in front, before anybody looks which word comes first or is in capitals."""
    return pc.replace_substring_regex(texts, rf"(?i)^(?:(?:{rules().titles}) )+", "")


def without_suffixes_as_written(texts: pa.Array) -> pa.Array:
    """Suffixes and misplaced titles behind, before the last word is taken for the surname."""
    behind = f"{rules().suffixes}|{rules().titles_anywhere}"
    return pc.replace_substring_regex(texts, rf"(?i)(?:,? (?:{behind}))+$", "")


WHOLE_NAME: tuple[Step, ...] = (
    composed,
    without_brackets,
    spaces_even,
    known_full_name,
    without_titles_as_written,
    without_suffixes_as_written,
)


def surname_before_comma(texts: pa.Array) -> pa.StructArray:
    """`HARTNOLL, Frederick John`"""
    fits = pc.match_substring_regex(texts, r"^[^,]*\pL[^,]*,.*\pL")
    return _split(fits, texts, family=(", *.*", ""), given=("^[^,]*,[ ,]*", ""))


def surname_in_capitals(texts: pa.Array) -> pa.StructArray:
    """`HARTNOLL Frederick`, `VAN DER BERG Ludwig`: capitals first, then a word with small letters."""
    return pc.extract_regex(
        texts, r"^(?P<family>[\p{Lu}'’-]{2,}(?: [\p{Lu}'’-]{2,})*) (?P<given>[\p{Lu}'’-]*\p{Ll}.*)$"
    )


def initials_last(texts: pa.Array) -> pa.StructArray:
    """`HARTNOLL F J`: nobody's surname is a single letter."""
    return pc.extract_regex(texts, r"^(?P<family>\pL[^ ]+(?: \pL[^ ]+)*) (?P<given>\pL(?: \pL)*)$")


def family_name_written_first(texts: pa.Array) -> pa.StructArray:
    """`Nguyen Thi Mai`: a name that is written first in its language, and no forename here."""
    first = rules().family_first
    fits = pc.match_substring_regex(texts, rf"(?i)^(?:{first}) ")
    last_too = pc.match_substring_regex(texts, rf"(?i) (?:{first})$")
    return _split(pc.and_not(fits, last_too), texts, family=(" .*", ""), given=("^[^ ]* ", ""))


def surname_with_particles(texts: pa.Array) -> pa.StructArray:
    """`Ludwig van der Berg`: the last word, and the particles before it."""
    particles = rules().surname_particles
    fits = pc.match_substring_regex(texts, rf"(?i) (?:{particles}) [^ ]+$")
    whole = rf"(?i)^([^ ]+(?: [^ ]+)*?) ((?:(?:{particles}) )+[^ ]+)$"
    return _split(fits, texts, family=(whole, r"\2"), given=(whole, r"\1"))


def surname_last(texts: pa.Array) -> pa.StructArray:
    """`Frederick John Hartnoll`"""
    fits = pc.match_substring(texts, " ")
    return _split(fits, texts, family=("^.* ", ""), given=(" [^ ]*$", ""))


def one_word(texts: pa.Array) -> pa.StructArray:
    """`Hartnoll`: a single name is the surname."""
    return _split(pc.is_valid(texts), texts, family=("", ""), given=(".*", ""))


def _split(
    fits: pa.Array, texts: pa.Array, *, family: tuple[str, str], given: tuple[str, str]
) -> pa.StructArray:
    """Return given and family names of the texts that fit, each by a pattern and what takes its place; else null."""
    some = pc.if_else(fits, texts, None)
    parts = [pc.replace_substring_regex(some, pattern, other) for pattern, other in (given, family)]
    return pa.StructArray.from_arrays(parts, ["given", "family"])


SPLITS: tuple[Callable[[pa.Array], pa.StructArray], ...] = (
    surname_before_comma,
    surname_in_capitals,
    initials_last,
    family_name_written_first,
    surname_with_particles,
    surname_last,
    one_word,
)
"""The first that fits splits the name."""


def split_names(
    texts: pa.Array,
    steps: tuple[Step, ...] = WHOLE_NAME,
    splits: tuple[Callable[[pa.Array], pa.StructArray], ...] = SPLITS,
) -> tuple[pa.Array, pa.Array]:
    """Return given and family names of `texts`, names held in one field, as far as they are written."""
    for step in steps:
        texts = step(texts)
    given, family = pa.nulls(len(texts), pa.string()), pa.nulls(len(texts), pa.string())
    open_places = pc.is_valid(texts)
    for split in splits:
        waiting = texts.filter(open_places)
        if not len(waiting):
            break
        found = split(waiting)
        given = pc.replace_with_mask(given, open_places, pc.struct_field(found, "given"))
        family = pc.replace_with_mask(family, open_places, pc.struct_field(found, "family"))
        open_places = pc.and_(open_places, pc.is_null(family))
    return pc.if_else(pc.equal(given, ""), None, given), family


# Forename and surname together.


def family_name_in_its_place(name: Name) -> Name:
    """A family name that is written first was taken for the forename: exchange the two."""
    first = rules().family_names_written_first
    swapped = pc.and_(
        pc.is_in(name.forename, value_set=first),
        pc.and_(pc.is_valid(name.surname), pc.invert(pc.is_in(name.surname, value_set=first))),
    )
    if not pc.any(swapped).as_py():
        return name
    return Name(
        pc.if_else(swapped, name.surname, name.forename),
        name.middle_name,
        pc.if_else(swapped, name.forename, name.surname),
    )


def single_name_once(name: Name) -> Name:
    """Somebody with one name has it in both fields of some systems and as surname in others: it stays the surname."""
    twice = pc.fill_null(pc.equal(name.forename, name.surname), False)
    return Name(pc.if_else(twice, None, name.forename), name.middle_name, name.surname)


BOTH_NAMES: tuple[Callable[[Name], Name], ...] = (family_name_in_its_place, single_name_once)
