"""Licences of weights, in the identifiers that timm's configurations and the Hugging Face Hub use."""

from collections.abc import Collection

from itm.core.errors import ParamsError, did_you_mean

PERMISSIVE_NAME, UNKNOWN_NAME = "permissive", "unknown"
# Any use, also commercial, with attribution at most. Licences of vendors are left out, whatever they allow.
PERMISSIVE = frozenset(
    {
        *("apache-2.0", "mit", "isc", "zlib", "unlicense", "0bsd", "bsl-1.0"),
        *("bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
    }
)


def known_licence(text: object) -> str | None:
    """Return the identifier that a configuration states, or None if it states none."""
    licence = str(text or "").strip().lower()
    return None if licence in ("", UNKNOWN_NAME, "other", "none") else licence


def is_permissive(licence: str | None) -> bool:
    """Return whether a licence is stated and permissive."""
    return licence in PERMISSIVE


def licence_filter(wanted: str, stated: Collection[str]) -> frozenset[str | None]:
    """Return the licences that `wanted` means: an identifier, "permissive" or "unknown". `stated` are those of known models.

    Raises
    ------
    ParamsError
        If no such licence is known.
    """
    word = wanted.strip().lower()
    if word == PERMISSIVE_NAME:
        return frozenset(PERMISSIVE)
    if word == UNKNOWN_NAME:
        return frozenset({None})
    known = {*PERMISSIVE, *stated}
    if word not in known:
        near = did_you_mean(word, {*known, PERMISSIVE_NAME, UNKNOWN_NAME})
        raise ParamsError(
            f"--licence {wanted} is not known{near} Give {PERMISSIVE_NAME}, {UNKNOWN_NAME}, or one of: "
            f"{', '.join(sorted(stated))}."
        )
    return frozenset({word})
