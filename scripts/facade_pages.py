"""Shows derived methods of the facade in the API pages: an extension of griffe, which reads the source and runs nothing.

It finds what `aiocopick.sync.verbs` decorates, and gives it the parameters, types and text of the coroutine function that
is named there. References in Sphinx's form become links, which Markdown understands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import griffe

VERBS = "aiocopick.sync.verbs."
NAMES = re.compile(r"\bAsync(Root|Run|VoxelSpacing|Tomogram|Features|Picks|Mesh|Segmentation|Filaments|Object)\b")
REPLACED = r"Copick\1FS"
ROLES = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([\w.]+)`")


class FacadePages(griffe.Extension):
    """Derive in the pages what is derived in the code."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Go through the facade's classes once all of the package has been read."""
        for module in pkg["sync"].modules.values():
            for cls in module.classes.values():
                if not cls.is_alias:
                    _add_parameters(cls)
                    for member in list(cls.members.values()):
                        derive(cls, member)
        _link(pkg)
        for model in _models(pkg):
            _add_fields(model)


def _link(owner: griffe.Object) -> None:
    """Make links of the references in all texts of a module or class."""
    for thing in (owner, *owner.members.values()):
        if thing.is_alias:
            continue
        if thing.docstring is not None:
            thing.docstring.value = ROLES.sub(partial(_linked, thing), thing.docstring.value)
        if thing is not owner and (thing.is_module or thing.is_class):
            _link(thing)


def _linked(thing: griffe.Object, role: re.Match[str]) -> str:
    """One reference as a link; what has no place in the pages stays text."""
    short, name = role.groups()
    try:
        path = thing.resolve(name)
    except griffe.NameResolutionError:
        path = name
    shown = name.rpartition(".")[2] if short else name
    return f'<autoref optional identifier="{path}">`{shown}`</autoref>'


def _models(owner: griffe.Object) -> Iterator[griffe.Class]:
    """The classes of pydantic in a module, however they derive from it."""
    for thing in owner.members.values():
        if not thing.is_alias and thing.is_module:
            yield from _models(thing)
        elif not thing.is_alias and thing.is_class and "pydantic.BaseModel" in _bases(thing):
            yield thing


def _bases(cls: griffe.Class) -> set[str]:
    return {str(getattr(base, "canonical_path", base)) for each in (cls, *cls.mro()) for base in each.bases}


def _add_fields(cls: griffe.Class) -> None:
    """Give a model the constructor that pydantic makes of its fields, so that types and defaults are shown."""
    fields = {}
    for each in (*reversed(cls.mro()), cls):
        for name, member in each.members.items():
            is_field = member.is_attribute and member.annotation is not None and "property" not in member.labels
            if is_field and not name.startswith("_") and name != "model_config":
                fields[name] = griffe.Parameter(
                    name,
                    annotation=member.annotation,
                    kind=griffe.ParameterKind.keyword_only,
                    default=_default(member.value),
                )
    if fields and "__init__" not in cls.members:
        init = griffe.Function("__init__", parameters=griffe.Parameters(*fields.values()), parent=cls)
        cls.set_member("__init__", init)


def _default(value: Any) -> Any:
    """The default of a field: of `Field(...)`, what is in it."""
    if isinstance(value, griffe.ExprCall) and str(value.function) == "Field":
        keywords = {each.name: each.value for each in value.arguments if isinstance(each, griffe.ExprKeyword)}
        factory = keywords.get("default_factory")
        return keywords.get("default", None if factory is None else f"{str(factory).removeprefix('lambda: ')}()")
    return value


def derive(cls: griffe.Class, member: Any) -> None:
    """Complete a member of a facade class that is derived from the async one."""
    if member.is_function:
        for decorator in member.decorators:
            if (call := _verb(decorator.value)) is not None:
                _complete(cls, member, call)
    elif member.is_attribute and (call := _verb(member.value)) is not None:
        source = _member(_find(cls, call.arguments[0].canonical_path), member.name)
        # Of `Attribute[str]`, what is in brackets.
        _as_property(member, source, member.annotation.slice)


def _add_parameters(cls: griffe.Class) -> None:
    """Tell of the parameters that the async class is constructed by, where the facade's tells of none."""
    for base in cls.bases:
        if not isinstance(base, griffe.ExprSubscript) or cls.docstring is None or "Parameters" in cls.docstring.value:
            continue
        twin = _find(cls, base.slice.canonical_path)
        sections = re.search(r"Parameters\n(?:.+\n?)+", twin.docstring.value) if twin.is_class else None
        if sections is not None:
            cls.docstring.value += f"\n\n{NAMES.sub(REPLACED, sections.group())}"


def _verb(value: Any) -> griffe.ExprCall | None:
    is_verb = isinstance(value, griffe.ExprCall) and value.function.canonical_path.startswith(VERBS)
    return value if is_verb else None


def _as_property(attribute: griffe.Attribute, source: Any, annotation: Any) -> None:
    attribute.annotation, attribute.value, attribute.labels = annotation, None, {"property"}
    attribute.docstring = _docstring(source, attribute)


def _complete(cls: griffe.Class, member: griffe.Function, call: griffe.ExprCall) -> None:
    owner, _, name = call.arguments[0].canonical_path.rpartition(".")
    source = _member(_find(cls, owner), name)
    returns = _renamed(source.returns)
    if call.function.canonical_path == f"{VERBS}listed":
        attribute = griffe.Attribute(member.name, lineno=member.lineno, parent=cls)
        _as_property(attribute, source, returns)
        cls.set_member(member.name, attribute)
        return
    member.parameters = source.parameters
    member.returns = returns
    member.docstring = _docstring(source, member)
    member.decorators = []


def _find(cls: griffe.Class, path: str) -> Any:
    package = cls.package
    found = package.modules_collection[path]
    return found.final_target if found.is_alias else found


def _member(twin: Any, name: str) -> Any:
    found = twin.all_members[name]
    return found.final_target if found.is_alias else found


def _renamed(expression: Any) -> Any:
    """A return type in the facade's names."""
    return None if expression is None else NAMES.sub(REPLACED, str(expression))


def _docstring(source: Any, parent: Any) -> griffe.Docstring | None:
    if source.docstring is None:
        if parent.is_private:
            return None
        raise LookupError(f"{parent.path} is derived from {source.path}, which has no documentation")
    return griffe.Docstring(NAMES.sub(REPLACED, source.docstring.value), parent=parent)
