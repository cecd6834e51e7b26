"""Messages of the library as a shell needs them: an argument of a function is an option, or a field of a config."""

from __future__ import annotations

import re

_CONFIG = "the fs_args of a configuration"

_WORDS = [
    (r"pass allow_protocols= \(--allow-protocol on the command line\)", "pass --allow-protocol"),
    (r" A new project is made by its first run, or by ensure\(create=True\)\.", ""),
    (r"Check the path, or create it with ensure\(create=True\)\.", "Check the path."),
    (r"open (one|it) with read_only=False", r'\1 with "read_only": false in its configuration can be written to'),
    (r"run_pattern=", "--run-pattern "),
    (r"give pixel_size\b", "give --pixel-size"),
    (r"pass tilt_series_pixel_size(?: or tomogram_center)?", "give --pixel-size"),
    (r"pass catalog= as well", "give --catalog as well"),
    (r"set client_kwargs=\{'region_name': \.\.\.\} in fs_args", '''give --fs-args '{"client_kwargs": {"region_name": ...}}\''''),
    (r"give key and secret in fs_args", f"give key and secret in the environment, or in {_CONFIG}"),
    (r"or anon=True for public data", """or --fs-args '{"anon": true}' for public data"""),
    (r"give token in fs_args, or token='anon'", f"""give token in {_CONFIG}, or --fs-args '{{"token": "anon"}}'"""),
    (r"(give account_key, sas_token or credential) in fs_args", rf"\1 in the environment, or in {_CONFIG}"),
    (r"or anon=True\Z", """or --fs-args '{"anon": true}'"""),
    (r"; pass exist_ok=True to (?:get|change) it", ""),
    (r"(?:it|a project) with root 'zip://' and fs_args (\{.*?\})", r"it with SOURCE zip:// and --fs-args '\1'"),
    (r", or with new_object\(\)", ""),
    (r"open it with aiocopick\.open\(\)[^.]*", "name it as SOURCE"),
    (r"[;,:]? ?(?:pass|or pass) is_multilabel=True without the suffix", ""),
]  # fmt: skip
_FIELD = re.compile(r"\b([a-z_]+)=(True|False|None|\d+|'[^']*'|\{[^}]*\})")
_VALUES = {"True": "true", "False": "false", "None": "null"}


def for_shell(message: str) -> str:
    """Return a message whose advice can be followed on the command line."""
    for words, instead in _WORDS:
        message = re.sub(words, instead, message)
    message = _FIELD.sub(_as_field, message)
    return re.sub(r"\bin fs_args\b", "in --fs-args", message)


def _as_field(found: re.Match[str]) -> str:
    value = _VALUES.get(found[2], found[2].replace("'", '"'))
    return f'"{found[1]}": {value} in the configuration'


__all__ = ["for_shell"]
