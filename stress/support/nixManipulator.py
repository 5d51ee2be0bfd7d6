# Edits with nix-manipulator. Reads requests as lines of JSON, and answers each with a line of JSON:
# {"text"}, {"refused"} for the exceptions by which the library refuses, or {"crashed"}.
import json
import sys

from nix_manipulator import exceptions
from nix_manipulator.parser import parse

try:
    from nix_manipulator.cli.manipulations import remove_value, set_value
except ImportError:
    from nix_manipulator.manipulations import remove_value, set_value

sys.setrecursionlimit(10_000)

REFUSALS = (
    KeyError,
    ValueError,
    NotImplementedError,
    SyntaxError,
    getattr(exceptions, "ResolutionError", KeyError),
)


def expression(text):
    source = parse(text)
    return (getattr(source, "expressions", None) or source.value)[0]


def inside(node):
    """What is written inside a call, a function, parentheses, or `with`."""
    for name in ("argument", "body", "output"):
        found = getattr(node, name, None)
        if found is not None and not isinstance(found, str):
            return found
    return getattr(node, "value", None)


def at(node, names):
    """The value at a path. Names can be joined to one attribute path in the text."""
    if not names:
        return node
    for count in range(len(names), 0, -1):
        found = node
        while found is not None:
            try:
                return at(found[".".join(names[:count])], names[count:])
            except (KeyError, TypeError, ValueError, AttributeError):
                found = inside(found)
    raise KeyError(".".join(names))


def root_of(source):
    return source if hasattr(source, "__getitem__") else source.value[0]


def list_in(node):
    while node is not None and not isinstance(getattr(node, "value", None), list):
        node = inside(node)
    if node is None:
        raise ValueError("not a list")
    return node


def edited(request):
    """By the functions of the command line; if they fail, by the mappings, which accept more."""
    try:
        return edited_by_path(request)
    except Exception:
        if request["kind"] not in ("set", "remove"):
            raise
        return edited_by_mapping(request)


def edited_by_path(request):
    source = parse(request["text"])
    kind = request["kind"]
    if kind == "remove":
        return remove_value(source, request["path"])
    if kind == "add to list":
        found = at(root_of(source), request["names"])
        list_in(found).value.append(expression(request["value"]))
        return source.rebuild()
    if kind == "bump":
        call = at(root_of(source), request["names"])
        for name, value in request["values"].items():
            call.argument[name] = expression(value)
        return source.rebuild()
    return set_value(source, request["path"], request["value"])


def edited_by_mapping(request):
    source = parse(request["text"])
    *names, last = request["names"]
    at(root_of(source), request["names"])
    parent = at(root_of(source), names)
    while not hasattr(parent, "__setitem__"):
        parent = inside(parent)
    if request["kind"] == "remove":
        del parent[last]
    else:
        parent[last] = expression(request["value"])
    text = source.rebuild()
    # The mapping of an attribute path may be a copy.
    if text == parse(request["text"]).rebuild():
        raise ValueError("no change")
    return text


for line in sys.stdin:
    try:
        answer = {"text": edited(json.loads(line))}
    except REFUSALS as error:
        kind = "crashed" if type(error).__name__ == "ValidationError" else "refused"
        answer = {kind: f"{type(error).__name__}: {error}"}
    except Exception as error:
        answer = {"crashed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
