"""Reads domains with another XML parser (expat), and prints trees and canonical forms to compare with.

Reads lines of JSON, each a text. Answers each with a line of JSON: {"tree": ..., "form": ...} or
{"error": "..."}. A tree is [name, attributes, children], all in the order of the text, without comments.
The canonical form also leaves out layout, and sorts siblings by name, except in <metadata> and next to
text.
"""

import json
import sys
from xml.parsers import expat


class Doctype(Exception):
    pass


def parse(text):
    data = text.encode("utf-8")
    # First parses with namespaces, which finds undeclared prefixes. The separator is a character that
    # no name of a namespace can contain.
    expat.ParserCreate("utf-8", "\x01").Parse(data, True)

    stack = [["", {}, []]]

    def start(name, attributes):
        node = [name, attributes, []]
        stack[-1][2].append(node)
        stack.append(node)

    def end(_):
        stack.pop()

    def characters(text):
        children = stack[-1][2]
        if children and isinstance(children[-1], str):
            children[-1] += text
        else:
            children.append(text)

    def doctype(*_):
        raise Doctype

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(data, True)
    return stack[0][2][0]


def in_order(node):
    name, attributes, children = node
    return [name, list(attributes.items()), [it if isinstance(it, str) else in_order(it) for it in children]]


def blank(text):
    return text.strip(" \t\r\n") == ""


def canonical(node, opaque=False):
    name, attributes, children = node
    opaque = opaque or name == "metadata"
    elements = [it for it in children if not isinstance(it, str)]
    text = "".join(it for it in children if isinstance(it, str))
    if not elements:
        content = [] if text == "" or (blank(text) and "\n" in text and not opaque) else [text]
    elif blank(text):
        content = [canonical(it, opaque) for it in elements]
        if not opaque:
            content.sort(key=lambda it: it[0])
    else:
        content = [it if isinstance(it, str) else canonical(it, opaque) for it in children]
    return [name, sorted(attributes.items()), content]


for line in sys.stdin:
    try:
        tree = parse(json.loads(line))
        answer = {"tree": in_order(tree), "form": json.dumps(canonical(tree))}
    except Doctype:
        answer = {"error": "doctype"}
    except (expat.ExpatError, UnicodeEncodeError) as error:
        answer = {"error": str(error)}
    except RecursionError:
        answer = {"error": "too deep"}
    print(json.dumps(answer), flush=True)
