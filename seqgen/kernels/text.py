"""UTF-8 straight to token ids: compiled twins of the character and word tokenizers.

All take valid UTF-8 as uint8 and read the pieces `data[starts[i]:ends[i]]` of it. A piece whose `closes` is
true is followed by id 0 (EOS). Nothing is normalised here.
"""

from typing import Any

import numpy as np

from seqgen.kernels.jit import compiled

EOS = 0
UNK = 1

MARK, WORD, SINGLE, NEWLINE, SPACE, BLANK, APOSTROPHE, REPEATED = range(8)
"""Classes of characters: punctuation and the like, a part of a word, a word by itself, U+000A, U+0020, other
white space, a mark that joins words, a mark of which a run is one token."""

_FNV_OFFSET = np.uint64(14695981039346656037)
_FNV_PRIME = np.uint64(1099511628211)
_SPACE = np.uint64(0x20)
_FIRST_LEAD_TO_CHECK = 0xCC  # of U+0300; continuation bytes are below


@compiled
def _code_point(data: Any, place: int) -> Any:
    """Return the code point at a place and its length in bytes."""
    lead = np.int64(data[place])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | (data[place + 1] & 0x3F), 2
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | (data[place + 1] & 0x3F) << 6 | (data[place + 2] & 0x3F), 3
    tail = (data[place + 1] & 0x3F) << 12 | (data[place + 2] & 0x3F) << 6 | (data[place + 3] & 0x3F)
    return (lead & 0x07) << 18 | tail, 4


@compiled
def holds_marked(data: Any, marked: Any) -> bool:
    """Tell whether any character from U+0300 on is marked; the last entry of `marked` is for all beyond."""
    for place in range(len(data)):
        if data[place] >= _FIRST_LEAD_TO_CHECK:
            point, _ = _code_point(data, place)
            if marked[min(point, len(marked) - 1)]:
                return True
    return False


@compiled
def char_ids(data: Any, starts: Any, ends: Any, closes: Any, table: Any, out: Any, lengths: Any) -> int:
    """Write the id of every character to `out` and the ids of every piece to `lengths`; return how many.

    The last entry of `table` is the id of all code points beyond it.
    """
    filled = 0
    for piece in range(len(starts)):
        before = filled
        place = starts[piece]
        while place < ends[piece]:
            point, size = _code_point(data, place)
            out[filled] = table[min(point, len(table) - 1)]
            place += size
            filled += 1
        if closes[piece]:
            out[filled] = EOS
            filled += 1
        lengths[piece] = filled - before
    return filled


@compiled
def count_chars(data: Any, starts: Any, ends: Any, counts: Any) -> None:
    """Add the characters of all pieces to `counts`, which has an entry for every code point."""
    for piece in range(len(starts)):
        place = starts[piece]
        while place < ends[piece]:
            point, size = _code_point(data, place)
            counts[point] += 1
            place += size


@compiled
def byte_ids(data: Any, starts: Any, ends: Any, closes: Any, out: Any, lengths: Any) -> int:
    """Write 1 + the value of every byte to `out` and the ids of every piece to `lengths`; return how many."""
    filled = 0
    for piece in range(len(starts)):
        before = filled
        for place in range(starts[piece], ends[piece]):
            out[filled] = data[place] + 1
            filled += 1
        if closes[piece]:
            out[filled] = EOS
            filled += 1
        lengths[piece] = filled - before
    return filled


@compiled
def _word_end(data: Any, place: int, end: int, classes: Any) -> Any:
    """Return where a run of word characters ends."""
    while place < end:
        lead = data[place]
        if lead < 0x80:
            if classes[lead] != WORD:
                break
            place += 1
        else:
            point, size = _code_point(data, place)
            if classes[point] != WORD:
                break
            place += size
    return place


@compiled
def _blank_end(data: Any, place: int, end: int, classes: Any) -> Any:
    """Return where a run of white space without line ends ends."""
    while place < end:
        point, size = _code_point(data, place)
        if classes[point] != SPACE and classes[point] != BLANK:
            break
        place += size
    return place


@compiled
def _token_end(data: Any, start: int, end: int, classes: Any) -> Any:
    """Return where the token that begins at `start` ends."""
    place = start
    point, size = _code_point(data, place)
    kind = classes[point]
    if kind == SPACE and place + 1 < end:
        point, size = _code_point(data, place + 1)
        if classes[point] == SPACE or classes[point] == BLANK:
            return _blank_end(data, place, end, classes)
        kind = classes[point]
        place += 1
    if kind == WORD:
        place = _word_end(data, place + size, end, classes)
        while place < end:  # an apostrophe between two words makes them one
            point, size = _code_point(data, place)
            if classes[point] != APOSTROPHE:
                break
            rest = _word_end(data, place + size, end, classes)
            if rest == place + size:
                break
            place = rest
        return place
    if kind in (SPACE, BLANK):
        return _blank_end(data, place, end, classes)
    place += size
    if kind == REPEATED:
        while place < end and data[place] == point:  # these marks are ASCII
            place += 1
    return place


@compiled
def find_words(
    data: Any,
    starts: Any,
    ends: Any,
    closes: Any,
    classes: Any,
    word_starts: Any,
    word_ends: Any,
    hashes: Any,
    lengths: Any,
) -> int:
    """Find all tokens: where each begins and ends, and its FNV-1a hash; return how many there are.

    An EOS is a token that begins and ends at -1. `lengths` receives the tokens of every piece.
    """
    found = 0
    for piece in range(len(starts)):
        before = found
        place, last = starts[piece], ends[piece]
        while place < last:
            start = place
            digest = _FNV_OFFSET
            if data[place] == _SPACE and place + 1 < last:
                digest = (digest ^ _SPACE) * _FNV_PRIME
                place += 1
            first = place
            # Most tokens are words in ASCII that stand between other ASCII characters: they end right here.
            while place < last:
                lead = data[place]
                if lead >= 0x80 or classes[lead] != WORD:
                    break
                digest = (digest ^ np.uint64(lead)) * _FNV_PRIME
                place += 1
            plain = place > first
            if plain and place < last:
                lead = data[place]
                plain = lead < 0x80 and classes[lead] != APOSTROPHE
            if not plain:
                place = _token_end(data, start, last, classes)
                digest = _hash(data, start, place)
            word_starts[found], word_ends[found], hashes[found] = start, place, digest
            found += 1
        if closes[piece]:
            word_starts[found] = word_ends[found] = -1
            found += 1
        lengths[piece] = found - before
    return found


@compiled
def _hash(data: Any, start: int, end: int) -> Any:
    digest = _FNV_OFFSET
    for place in range(start, end):
        digest = (digest ^ np.uint64(data[place])) * _FNV_PRIME
    return digest


@compiled
def _slot_of(
    digest: Any,
    data: Any,
    start: int,
    end: int,
    keys: Any,
    slots: Any,
    text: Any,
    text_starts: Any,
    text_ends: Any,
) -> Any:
    """Return the slot of a hash table that holds `data[start:end]`, or else the empty one it belongs in.

    `slots` holds numbers i of entries `text[text_starts[i]:text_ends[i]]`, or -1, and `keys` their hashes;
    the length of both is a power of two.
    """
    mask = np.uint64(len(slots) - 1)
    slot = (digest ^ (digest >> np.uint64(29))) & mask
    while True:
        entry = slots[slot]
        if entry < 0:
            break
        if keys[slot] == digest:
            first = text_starts[entry]
            same = text_ends[entry] - first == end - start
            if same:
                for byte in range(end - start):
                    if data[start + byte] != text[first + byte]:
                        same = False
                        break
            if same:
                break
        slot = (slot + np.uint64(1)) & mask
    return slot


@compiled
def fill_slots(keys: Any, slots: Any, text: Any, text_starts: Any, text_ends: Any) -> None:
    """Enter every `text[text_starts[i]:text_ends[i]]` that is not empty into a hash table of -1."""
    for entry in range(len(text_starts)):
        start, end = text_starts[entry], text_ends[entry]
        if start < end:
            digest = _hash(text, start, end)
            slot = _slot_of(digest, text, start, end, keys, slots, text, text_starts, text_ends)
            keys[slot], slots[slot] = digest, entry


@compiled
def word_ids(
    data: Any,
    word_starts: Any,
    word_ends: Any,
    hashes: Any,
    keys: Any,
    slots: Any,
    text: Any,
    text_starts: Any,
    text_ends: Any,
    out: Any,
) -> None:
    """Write the id of every token that `find_words` found; entry i of the table is the token with id i."""
    for word in range(len(out)):
        start, end = word_starts[word], word_ends[word]
        if start < 0:
            out[word] = EOS
            continue
        entry = slots[_slot_of(hashes[word], data, start, end, keys, slots, text, text_starts, text_ends)]
        out[word] = entry if entry >= 0 else UNK


@compiled
def distinct_words(
    data: Any,
    word_starts: Any,
    word_ends: Any,
    hashes: Any,
    keys: Any,
    slots: Any,
    firsts: Any,
    lasts: Any,
    counts: Any,
) -> int:
    """Find the distinct among tokens, none of them EOS; return how many, or -1 when `slots` is half full.

    `firsts`, `lasts` and `counts` receive the place and the number of each, in order of appearance.
    """
    found = 0
    for word in range(len(word_starts)):
        start, end = word_starts[word], word_ends[word]
        slot = _slot_of(hashes[word], data, start, end, keys, slots, data, firsts, lasts)
        if slots[slot] < 0:
            if 2 * found >= len(slots):
                return -1
            keys[slot], slots[slot] = hashes[word], found
            firsts[found], lasts[found], counts[found] = start, end, 0
            found += 1
        counts[slots[slot]] += 1
    return found
