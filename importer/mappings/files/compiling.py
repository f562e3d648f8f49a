"""A mapping file's declaration, made a mapping: once, as a Python function that does what it says and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from importer.errors import InvalidRecord
from importer.mappings import decoding, ready, reasons
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import hashed, insert_id
from importer.mappings.fields.properties import PLAIN, RESERVED, flatten_within, problem_of, too_many
from importer.mappings.files import paths
from importer.mappings.files.code import Code
from importer.mappings.files.declaration import Declaration, Time
from importer.mappings.files.values import At, First, Value, used
from importer.mappings.globs import matcher
from importer.mappings.outcome import Dropped, Mapping, Outcome
from importer.mappings.recognition import Auto
from importer.times import from_epoch, from_format, from_iso

_Object = dict[str, Any]
_One = Callable[[_Object], Outcome]
_Outcomes = Callable[[_Object], list[Outcome]]
_KNOWN = {"PLAIN": PLAIN, "problem_of": problem_of, "too_many": too_many}
"""What the code calls by name."""
_OWN = frozenset(("time", "distinct_id", "$user_id", "$device_id", "$insert_id", "ip"))
"""What a ready mapping set of an event's own, which `others = "leave out"` does not mean."""


def compiled(declared: Declaration, file: str) -> Mapping:
    """The mapping that a declaration means.

    Args:
        declared: what the file says.
        file: its name, for tracebacks.
    """
    base = Auto() if declared.use == "auto" else ready.module(declared.use) if declared.use else None
    return _own(declared, file) if base is None else _adjusting(declared, file, base)


def _own(declared: Declaration, file: str) -> Mapping:
    """A mapping that makes events by itself."""
    code = Code("def outcome(record):", _KNOWN)
    _emit_where(code, declared)
    code.line("properties = {}")
    _emit_others(code, declared)
    _emit_properties(code, declared, flattens=declared.flatten is not None)
    name = code.read(declared.event)  # type: ignore[arg-type]  # without `use` there is one, and a time
    with code.block(f"if {name}.__class__ is not str or not {name} or {name}.isspace():"):
        code.line(f"return {code.constant(reasons.no_name)}({code.constant(_field(declared.event))}, {name})")
    time = _emit_time(code, declared.time)  # type: ignore[arg-type]
    with code.block(f"if {time}_ms is None:"):
        _emit_no_time(code, declared.time, time)  # type: ignore[arg-type]
    code.line(f'properties["time"] = {time}_ms')
    _emit_identity(code, declared)
    _emit_rest(code, declared)
    code.line(f"return too_many(properties) or {{'event': {name}, 'properties': properties}}")
    outcome: _One = code.function("outcome", file)
    return decoding.of_objects(_exploding(declared, lambda record: [outcome(record)]))


def _adjusting(declared: Declaration, file: str, base: Any) -> Mapping:
    """A mapping that changes what a ready one made; of the record it reads only what the file names."""
    if declared == Declaration(use=declared.use):
        to_mixpanel: Mapping = base.to_mixpanel
        return to_mixpanel
    before = Code("def before(record):", _KNOWN)
    _emit_where(before, declared)
    before.line("return None")
    code = Code("def adjust(record, event):", _KNOWN)
    code.line('properties = event["properties"]')
    _emit_base_others(code, declared)
    _emit_properties(code, declared, flattens=declared.flatten is not None)
    if declared.event:
        name = code.read(declared.event)
        with code.block(f"if {name}.__class__ is str and {name} and not {name}.isspace():"):
            code.line(f'event["event"] = {name}')
    if declared.time:
        time = _emit_time(code, declared.time)
        with code.block(f"if {time}_ms is not None:"):
            code.line(f'properties["time"] = {time}_ms')
        with code.block(f'elif {time} is not None and {time} != "":'):
            _emit_no_time(code, declared.time, time)
    if declared.distinct_id or declared.user_id or declared.device_id or declared.may_have_no_user:
        _emit_identity(code, declared, has_base=True)
    _emit_rest(code, declared)
    code.line("return too_many(properties) or event")
    adjust = code.function("adjust", file)
    is_allowed = before.function("before", file) if declared.where else None
    if not (code.reads_record or declared.where or declared.explode or declared.identify):
        return lambda record: [_adjusted(adjust, None, one) for one in base.to_mixpanel(record)]

    def outcomes(record: _Object) -> list[Outcome]:
        if is_allowed is not None and (dropped := is_allowed(record)) is not None:
            return [dropped]
        made = base.outcomes(record)
        if declared.identify and made[0].__class__ is Dropped and (one := base.identified(record, declared.identify)):
            made = [one]
        return [_adjusted(adjust, record, one) for one in made]

    return _decoded_by(getattr(base, "decode", decoding.decode), _exploding(declared, outcomes))


def _adjusted(adjust: Callable[..., Outcome], record: _Object | None, outcome: Outcome) -> Outcome:
    return adjust(record, outcome) if outcome.__class__ is dict else outcome


def _decoded_by(decode: Callable[[bytes], Any], outcomes: _Outcomes) -> Mapping:
    def mapping(record: bytes) -> list[Outcome]:
        decoded = decode(record)
        return outcomes(decoded) if decoded.__class__ is dict else [decoded]

    return mapping


def _exploding(declared: Declaration, outcomes: _Outcomes) -> _Outcomes:
    """The same for each element of a list: in its record, it takes the list's place."""
    path = declared.explode
    if path is None:
        return outcomes
    shown = paths.shown(path)

    def each(record: _Object) -> list[Outcome]:
        elements = paths.value_at(record, path)
        if not isinstance(elements, list):
            return [InvalidRecord(f"has no list at {shown}, of which each element would be an event", shown)]
        if not elements:
            return [Dropped(f"nothing in {shown}")]
        return [one for element in elements for one in outcomes(paths.with_value(record, path, element))]

    return each


def _emit_where(code: Code, declared: Declaration) -> None:
    for condition in declared.where:
        value = code.read(condition.value)
        code.line(f"if not {code.constant(condition.test)}({value}): return {code.constant(Dropped(condition.kind))}")


def _emit_others(code: Code, declared: Declaration) -> None:
    """The record's other fields: those that no path names as a whole, and those of the objects to spread."""
    whole = {path[0] for path in _paths(declared) if len(path) == 1} | {path[0] for path in declared.spread}
    if declared.keeps_others:
        _emit_loop(code, declared, "record", RESERVED | {name for name in whole if isinstance(name, str)})
    for path in declared.spread:
        found = code.read(At(path))
        with code.block(f"if {found}.__class__ is dict:"):
            _emit_loop(code, declared, found, RESERVED)


def _emit_loop(code: Code, declared: Declaration, source: str, skipped: frozenset[str]) -> None:
    exact = {name for name in declared.leave_out if not {"*", "?"} & set(name)}
    globs = set(declared.leave_out) - exact
    with code.block(f"for name, value in {source}.items():"):
        code.line(f"if value is None or name in {code.constant(skipped | exact)}: continue")
        if globs:
            code.line(f"if {code.constant(matcher(sorted(globs)))}(name): continue")
        if declared.rename:
            code.line(f"name = {code.constant(declared.rename)}.get(name, name)")
        if declared.flatten is None:
            _emit_check(code, "name", "value")
        code.line("properties[name] = value")


def _emit_base_others(code: Code, declared: Declaration) -> None:
    """The properties that the ready mapping made, and are not the event's own."""
    for old, new in declared.rename.items():
        code.line(
            f"if {code.constant(old)} in properties: "
            f"properties[{code.constant(new)}] = properties.pop({code.constant(old)})"
        )
    if not declared.keeps_others:
        keep = code.constant(_OWN | set(declared.rename.values()))
        code.line(f"properties = {{name: value for name, value in properties.items() if name in {keep}}}")
        code.line('event["properties"] = properties')
    exact = [name for name in declared.leave_out if not {"*", "?"} & set(name)]
    for name in exact:
        code.line(f"properties.pop({code.constant(name)}, None)")
    if globs := [name for name in declared.leave_out if name not in exact]:
        matches, own = code.constant(matcher(globs)), code.constant(_OWN)
        code.line(f"gone = [name for name in properties if name not in {own} and {matches}(name)]")
        code.line("for name in gone: del properties[name]")
    for path in declared.spread:
        found = code.read(At(path))
        with code.block(f"if {found}.__class__ is dict:"):
            _emit_loop(code, declared, found, RESERVED)


def _emit_properties(code: Code, declared: Declaration, *, flattens: bool) -> None:
    for name, value in declared.properties.items():
        found, key = code.read(value), code.constant(name)
        with code.block(f'if {found} is not None and {found} != "":'):
            if not flattens:
                _emit_check(code, key, found)
            code.line(f"properties[{key}] = {found}")
    if flattens:
        code.line(f"reject = {code.constant(flatten_within)}(properties, {code.constant(declared.flatten)})")
        code.line("if reject: return reject")


def _emit_check(code: Code, name: str, value: str) -> None:
    code.line(f"if {value}.__class__ not in PLAIN and (reject := problem_of({name}, {value})): return reject")


def _emit_time(code: Code, time: Time) -> str:
    """Gives the variable with the time as it is written; what is called so and ends in `_ms` is the time or None."""
    found = code.variable()
    code.line(f"{found} = {code.read(time.value)}")
    if time.unit:
        code.line(f"{found}_ms = {code.constant(from_epoch)}({found}, {code.constant(time.unit)})")
    elif time.format:
        written = f"{code.constant(time.format)}, {code.constant(time.zone)}"
        code.line(f"{found}_ms = {code.constant(from_format)}({found}, {written})")
    else:
        code.line(f"{found}_ms = {code.constant(from_iso)}({found}, {code.constant(time.zone)})")
    return found


def _emit_no_time(code: Code, time: Time, found: str) -> None:
    field, must_be = code.constant(_field(time.value)), code.constant(time.must_be)
    code.line(f"return {code.constant(reasons.no_time)}({field}, {found}, {must_be})")


def _emit_identity(code: Code, declared: Declaration, *, has_base: bool = False) -> None:
    """The user, the device, and whose the event is; of a ready mapping's event, only what the file names changes."""
    user = code.read(declared.user_id) if declared.user_id else "None"
    device = code.read(declared.device_id) if declared.device_id else "None"
    if has_base:
        user = f"{user} or properties.pop('$user_id', None)"
        device = f"{device} or properties.pop('$device_id', None)"
    code.line(f"known = {code.constant(identify)}(properties, {user}, {device})")
    if declared.distinct_id:
        found = code.read(declared.distinct_id)
        code.line(f"own = {code.constant(as_id)}({found})")
        code.line("if own: properties['distinct_id'] = own; known = True")
    with code.block("if not known:"):
        if declared.may_have_no_user:
            code.line("properties['distinct_id'] = ''")
        else:
            fields = [_field(one) for one in (declared.distinct_id, declared.user_id, declared.device_id) if one]
            code.line(f"return {code.constant(reasons.no_user(*fields))}")


def _emit_rest(code: Code, declared: Declaration) -> None:
    if declared.insert_id:
        found = code.read(declared.insert_id)
        code.line(f"own = {code.constant(insert_id)}({found})")
        code.line("if own: properties['$insert_id'] = own")
    if declared.insert_id_of:
        parts = [code.read(value) for value in declared.insert_id_of]
        with code.block(f"if ({' or '.join(f'{part} is not None' for part in parts)}):"):
            code.line(f"properties['$insert_id'] = {code.constant(hashed)}({', '.join(parts)})")
    if declared.ip:
        code.line(f"ip = {code.constant(client_ip)}({code.read(declared.ip)})")
        code.line("if ip: properties['ip'] = ip")


def _paths(declared: Declaration) -> set[paths.Path]:
    """The paths that what is not a property of its own name is made of, and those of the named properties."""
    of_event = (
        declared.event,
        declared.time.value if declared.time else None,
        declared.distinct_id,
        declared.user_id,
        declared.device_id,
        declared.insert_id,
        declared.ip,
    )
    found = set().union(*(used(value) for value in of_event if value))
    return found.union(*map(used, declared.properties.values()))  # what is hashed only is told by nothing else


def _field(value: Value | None) -> str:
    """What to call a value in a reject's reason: the first of its paths."""
    if isinstance(value, First):
        return _field(value.values[0])
    found = sorted(map(paths.shown, used(value))) if value else []
    return found[0] if found else "a constant"
