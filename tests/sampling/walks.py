"""Random walks over constraints that count."""

from random import Random

from seqgen.sampling.automata import DEAD


def assert_tokens_lead_nearer(whole, vocab_size, *, most):
    """Assert that wherever one is some token leads nearer to an end, on walks of up to `most` tokens."""
    random, steps = Random(2), 0
    readers = len(whole.reader.kinds)
    for _ in range(30):
        place = whole.place
        for _ in range(random.randrange(most)):
            reached = (whole.advance(place, token) for token in range(1, vocab_size))
            after = [found for found in reached if found != DEAD]
            left = whole.distance[place // readers]
            nearest = min((whole.distance[found // readers] for found in after), default=-1)
            assert left == 0 or 0 <= nearest < left
            if not after:
                break
            place = random.choice(after)
            steps += 1
    assert steps > 200
