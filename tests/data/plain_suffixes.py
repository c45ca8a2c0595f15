"""Substring search, novelty and n-gram blending by loops, with no suffix array."""


def occurrences(text, pattern):
    """Return every place at which a list holds a pattern."""
    return [k for k in range(len(text) - len(pattern) + 1) if text[k : k + len(pattern)] == pattern]


def longest_match(text, query, start):
    """Return the length of the longest stretch of a query from `start` that a text holds, EOS left out."""
    length = 0
    while start + length < len(query) and query[start + length] != 0:
        if not occurrences(text, query[start : start + length + 1]):
            break
        length += 1
    return length


def counts_after(text, context):
    """Return how often each token follows a context."""
    counts = {}
    for place in occurrences(text, context):
        if place + len(context) < len(text):
            token = text[place + len(context)]
            counts[token] = counts.get(token, 0) + 1
    return counts


def contexts_of(text, history, limit):
    """Yield the contexts that an unbounded model uses, shortest first; `history` begins with EOS."""
    for length in range(min(limit, len(history)) + 1):
        context = history[len(history) - length :]
        if not occurrences(text, context) or 0 in context[1:]:
            return
        yield context
    last = 0 if 0 not in history else len(history) - 1 - history[::-1].index(0)
    longest = history[last:]
    while longest and not occurrences(text, longest):
        longest = longest[1:]
    if len(longest) > limit:
        yield longest
