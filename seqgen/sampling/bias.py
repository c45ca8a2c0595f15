"""Tokens that are never drawn, or drawn more or less often than the model would, by name."""

from collections.abc import Iterable

from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ConfigError

MAX_BOOST = 100.0


def token_bias(tokenizer: Tokenizer, *, banned: Iterable[str], boosted: Iterable[str]) -> dict[int, float]:
    """Return what is added to the logits of tokens.

    Args:
        tokenizer: Of the model.
        banned: Names of tokens, as `--format tokens` writes them or as they are; of a word, or a piece of
            one, the token with a space before it is meant too.
        boosted: The same, each with what is added: `NAME=2.5`.

    Raises:
        ConfigError: If a name is empty or unknown, or an amount is not a number within ±MAX_BOOST.
    """
    bias: dict[int, float] = {}
    for given in boosted:
        name, equals, amount = given.rpartition("=")
        try:
            value = float(amount)
        except ValueError:
            value = float("nan")
        if not equals or not abs(value) <= MAX_BOOST:
            raise ConfigError(f"--boost {given}: a token and a number within ±{MAX_BOOST:g}, as in the=1.5")
        bias |= dict.fromkeys(_ids(tokenizer, name, f"--boost {given}"), value)
    for name in banned:
        bias |= dict.fromkeys(_ids(tokenizer, name, f"--ban {name}"), float("-inf"))
    return bias


def _ids(tokenizer: Tokenizer, name: str, option: str) -> list[int]:
    if not name:
        raise ConfigError(f"{option}: names no token; --format tokens shows what they are called")
    plain = _unescaped(name)
    wanted = {name, f" {name}", plain, f" {plain}"} if tokenizer.modality == "text" else {name}
    found = [number for number, token in enumerate(tokenizer.tokens) if token in wanted]
    if not found:
        raise ConfigError(
            f"{option}: the model has no token {name}; --format tokens shows what they are called"
        )
    return found


def _unescaped(name: str) -> str:
    try:
        return name.encode("ascii", "backslashreplace").decode("unicode_escape")
    except UnicodeDecodeError:
        return name
