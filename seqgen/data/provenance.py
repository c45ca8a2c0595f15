"""What cached results depend on besides their input: the code that made them."""

from functools import cache
from hashlib import sha256
from pathlib import Path

import seqgen


@cache
def code_hash(*names: str) -> str:
    """Return the sha256 of the source of modules and folders of the package, such as `music`."""
    digest = sha256()
    for name in names:
        place = Path(seqgen.__file__).parent / name
        for path in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
