"""CoPick's URIs: names of entities across runs, with patterns.

``object:user/session`` for picks, meshes and filaments, ``name:user/session@10.0?multilabel=true`` for segmentations,
``tomo_type@10.0`` for tomograms, ``tomo_type@10.0:feature_type`` for feature maps. What is left out matches everything;
parts are glob patterns, or regular expressions after ``re:``. Source: ``copick.util.uri`` of copick 2.0.0a6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from aiocopick.errors import InvalidNameError
from aiocopick.layout.refs import (
    FILES,
    AnnotationRef,
    FeaturesRef,
    ObjectRef,
    Ref,
    RunRef,
    SegmentationRef,
    TomogramRef,
    VoxelSpacingRef,
)

ANY = "*"
TYPE_FLAGS = ("multilabel", "instance", "panoptic")

_TRUE = ("true", "1", "yes")
_REGEX_PREFIX = "re:"
_ALIASES = {"feature": "features", "meshes": "mesh", "segmentations": "segmentation", "tomograms": "tomogram"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UriPattern:
    """A URI taken apart.

    Parameters
    ----------
    kind : str
        Kind of the entities that it matches.
    parts : dict of str to str
        Patterns by field of the ref.
    flags : dict of str to bool
        Segmentation types asked for or excluded; without any, binary and multilabel ones match.
    is_regex : bool
        True if the patterns are regular expressions, false for globs.
    """

    kind: str
    parts: dict[str, str]
    flags: dict[str, bool]
    is_regex: bool = False

    def matches(self, ref: Ref) -> bool:
        """Return True if a ref has the kind and fits every pattern; voxel sizes compare as numbers, at three
        decimals.
        """
        if ref.kind != self.kind:
            return False
        if isinstance(ref, SegmentationRef) and not self._matches_type(ref):
            return False
        return all(self._matches_part(getattr(ref, field), pattern) for field, pattern in self.parts.items())

    @property
    def is_pattern(self) -> bool:
        """True if the URI can match more than one entity of a run."""
        return self.is_regex or any(set(pattern) & set("*?[") for pattern in self.parts.values())

    def _matches_type(self, ref: SegmentationRef) -> bool:
        wanted = self.flags
        if "instance" not in wanted and "panoptic" not in wanted:
            wanted = wanted | {"instance": False, "panoptic": False}
        return all(getattr(ref, f"is_{flag}") == value for flag, value in wanted.items())

    def _matches_part(self, value: str | float, pattern: str) -> bool:
        if pattern == ANY:
            return True
        if isinstance(value, float) and not self.is_regex:
            number = _as_number(pattern)
            if number is not None:
                return round(number, 3) == value
        return _matcher(pattern, self.is_regex)(str(value)) is not None


@lru_cache(maxsize=1024)
def _matcher(pattern: str, is_regex: bool) -> Callable[[str], Any]:
    try:
        return re.compile(pattern if is_regex else translate(pattern)).match
    except re.error as error:
        raise InvalidNameError(f"{pattern!r} is not a valid regular expression: {error}.", path=pattern) from None


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def parse_uri(text: str, kind: str | None = None) -> UriPattern:
    """The pattern that a URI stands for.

    Parameters
    ----------
    text : str
        The URI.
    kind : str, optional
        Kind of the named entities. By default taken from the form: with ``@`` a segmentation, a feature map (``:`` after
        the ``@``) or a tomogram, else picks, because URIs of meshes and filaments look the same.

    Raises
    ------
    InvalidNameError
        It is not a URI of that kind, or a pattern in it is not a regular expression.
    """
    uri = text.strip()
    is_regex = uri.startswith(_REGEX_PREFIX)
    if is_regex:
        uri = uri[len(_REGEX_PREFIX) :]
    uri, flags = _split_flags(uri, text, is_regex=is_regex)
    kind = _ALIASES.get(kind, kind) if kind is not None else _infer_kind(uri, flags)
    if kind in FILES:
        if not is_regex and _names_volume(uri):
            raise InvalidNameError(
                f"{text!r} names a tomogram, and {kind} are asked for: write object:user/session, or '{uri}:*' where an "
                "object has this name.",
                path=text,
            )
        parts = _parse_names(uri, text, "object_name")
    elif kind == "segmentation":
        names, _, size = uri.partition("@")
        parts = _parse_names(names, text, "name") | {"voxel_size": size or ANY}
    elif kind == "tomogram":
        tomo_type, _, size = uri.partition("@")
        parts = {"tomo_type": tomo_type, "voxel_size": size or ANY}
    elif kind == "features":
        tomo_type, _, rest = uri.partition("@")
        size, _, feature_type = rest.partition(":")
        parts = {"tomo_type": tomo_type, "voxel_size": size or ANY, "feature_type": feature_type or ANY}
    else:
        raise InvalidNameError(
            f"{kind!r} has no URIs; use picks, mesh, filaments, segmentation, tomogram or features.", path=text
        )
    pattern = UriPattern(
        kind=kind,
        parts={field: part or ANY for field, part in parts.items()},
        flags=flags if kind == "segmentation" else {},
        is_regex=is_regex,
    )
    for part in pattern.parts.values():
        _matcher(part, is_regex) if part != ANY else None
    return pattern


def _split_flags(uri: str, text: str, *, is_regex: bool) -> tuple[str, dict[str, bool]]:
    """Return the URI without its query, and the segmentation types of the query. A ``?`` of a glob is not a query."""
    head, mark, query = uri.rpartition("?")
    given = dict(parse_qsl(query)) if mark else {}
    if not set(given) & set(TYPE_FLAGS):
        return uri, {}
    flags = {flag: given[flag].lower() in _TRUE for flag in TYPE_FLAGS if flag in given}
    if sum(flags.values()) > 1:
        raise InvalidNameError(
            f"{text!r}: a segmentation has one type, multilabel, instance or panoptic: ask for one.", path=text
        )
    return head, flags


def _infer_kind(uri: str, flags: dict[str, bool]) -> str:
    head, at, tail = uri.partition("@")
    if flags or (at and ":" in head):
        return "segmentation"
    if at:
        return "features" if ":" in tail else "tomogram"
    return "picks"


def _names_volume(uri: str) -> bool:
    """Return True if a voxel size follows the ``@``, unless the rest shows that it is part of an object's name."""
    _, at, size = uri.rpartition("@")
    return bool(at) and ":" not in uri and _as_number(size) is not None


def _parse_names(uri: str, text: str, field: str) -> dict[str, str]:
    name, _, rest = uri.partition(":")
    if ":" in rest:
        raise InvalidNameError(f"{text!r} has more than one ':'; write name:user/session.", path=text)
    user, _, session = rest.partition("/")
    return {field: name, "user_id": user or ANY, "session_id": session or ANY}


def format_uri(ref: Ref) -> str:
    """Return the CoPick URI of an entity; it does not name the run.

    CoPick has no URIs for runs, voxel spacings and objects: a voxel spacing is written as the common part of the URIs of
    its tomograms, runs and objects as their names.
    """
    if isinstance(ref, AnnotationRef):
        return f"{ref.object_name}:{ref.user_id}/{ref.session_id}"
    if isinstance(ref, SegmentationRef):
        type_ = ref.segmentation_type
        flag = "" if type_ == "binary" else f"?{type_}=true"
        return f"{ref.name}:{ref.user_id}/{ref.session_id}@{ref.voxel_size}{flag}"
    if isinstance(ref, FeaturesRef):
        return f"{ref.tomo_type}@{ref.voxel_size}:{ref.feature_type}"
    if isinstance(ref, TomogramRef):
        return f"{ref.tomo_type}@{ref.voxel_size}"
    if isinstance(ref, VoxelSpacingRef):
        return f"{ANY}@{ref.voxel_size}"
    assert isinstance(ref, RunRef | ObjectRef)
    return ref.run if isinstance(ref, RunRef) else ref.name


__all__ = ["ANY", "UriPattern", "format_uri", "parse_uri"]
