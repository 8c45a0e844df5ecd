"""All encoders by name; a new one is a file and a line here."""

from __future__ import annotations

from importlib import import_module

from benchmark.extraction.encoder import Encoder
from benchmark.extraction.images import TORCHVISION
from benchmark.extraction.sentences import SENTENCES
from benchmark.extraction.sounds import TORCHAUDIO
from benchmark.extraction.words import TFIDF
from models.errors import UsageError

ENCODERS: dict[str, Encoder] = {
    "tfidf": TFIDF,
    "sentence-transformers": SENTENCES,
    "torchvision": TORCHVISION,
    "torchaudio": TORCHAUDIO,
}


def library_versions(name: str) -> dict[str, str]:
    """The versions of what an encoder needs.

    Raises:
        UsageError: If a library is not installed, or of a build that does not work here.
    """
    encoder, found = ENCODERS[name], {}
    for library in encoder.libraries:
        try:
            found[library] = str(import_module(library).__version__)
        except (ImportError, OSError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(
                f"--encoder {name} needs {library}, which cannot be imported ({reason[:200]}); "
                f"run 'pip install -c constraints.txt -e .[{encoder.extra}]'"
            ) from error
    return found
