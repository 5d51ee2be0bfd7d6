import { describe, expect, it } from 'vitest'
import type { Operation } from '../../src/nix/edit/operation.ts'
import { type Edit, type NixError, type NixValue, parseDocument } from '../../src/nix/index.ts'
import { verify } from '../../src/nix/verify/verify.ts'

/** The error of a verification if `after` was made from `before` for the operation. */
function faultOf(before: string, after: string, operation: Operation): NixError | undefined {
  const edits = editsBetween(before, after)
  const doc = parseDocument(before)
  return verify(doc, doc.edited(edits), edits, [operation])
}

function verdict(before: string, after: string, operation: Operation): string {
  return faultOf(before, after, operation) ? 'caught' : 'accepted'
}

/** The edits that turn one text into another, token by token. */
function editsBetween(before: string, after: string): Edit[] {
  const [old, current] = [tokensOf(before), tokensOf(after)]
  // The number of tokens that the two texts have in common from each pair of positions on.
  const common = old.map(() => current.map(() => 0))
  const at = (i: number, j: number) => common[i]?.[j] ?? 0
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = current.length - 1; j >= 0; j--) {
      const row = common[i] as number[]
      row[j] = old[i] === current[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const edits: Edit[] = []
  let offset = 0
  let edit: Edit = { offset, length: 0, content: '' }
  const close = () => {
    if (edit.length > 0 || edit.content !== '') edits.push(edit)
    edit = { offset, length: 0, content: '' }
  }
  for (let i = 0, j = 0; i < old.length || j < current.length; ) {
    const [one = '', other = ''] = [old[i], current[j]]
    if (i < old.length && j < current.length && one === other) {
      offset += one.length
      close()
      i++
      j++
    } else if (i < old.length && at(i + 1, j) >= at(i, j + 1)) {
      edit.length += one.length
      offset += one.length
      i++
    } else {
      edit.content += other
      j++
    }
  }
  close()
  return edits
}

const tokensOf = (text: string) =>
  text.match(/#[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\]|\\[\s\S])*"|[\w.]+|[^\S\n]+|[\s\S]/g) ?? []

const path = (source: string) => ({ kind: 'path' as const, path: source.split('.') })
const set = (source: string, value: NixValue): Operation => {
  return { kind: 'set', target: path(source), value }
}
const add = (source: string, ...items: NixValue[]): Operation => {
  return { kind: 'add', target: path(source), items, position: 'end', lines: false }
}
const remove = (source: string, ...items: NixValue[]): Operation => {
  const target = path(source)
  return items.length === 0 ? { kind: 'remove', target } : { kind: 'removeItems', target, items }
}
const rename = (source: string, to: string): Operation => {
  return { kind: 'rename', target: path(source), to: to.split('.') }
}
const use = (file: string): Operation => ({ kind: 'import', path: file })

interface Trial {
  given: string
  asked: Operation
  right: string
  wrong: Record<string, string>
}

const TRIALS: Record<string, Trial> = {
  'a value that is replaced': {
    given: '{ lib, ... }: { a.b = 1; c = "x"; d = lib.mkForce 1; } # end\n',
    asked: set('a.b', 2),
    right: '{ lib, ... }: { a.b = 2; c = "x"; d = lib.mkForce 1; } # end\n',
    wrong: {
      'nothing done': '{ lib, ... }: { a.b = 1; c = "x"; d = lib.mkForce 1; } # end\n',
      'another value': '{ lib, ... }: { a.b = 3; c = "x"; d = lib.mkForce 1; } # end\n',
      'another option': '{ lib, ... }: { a.b = 1; c = 2; d = lib.mkForce 1; } # end\n',
      'another name': '{ lib, ... }: { a.c = 2; c = "x"; d = lib.mkForce 1; } # end\n',
      'an additional option':
        '{ lib, ... }: { a.b = 2; z = 1; c = "x"; d = lib.mkForce 1; } # end\n',
      'a missing option': '{ lib, ... }: { a.b = 2; d = lib.mkForce 1; } # end\n',
      'a string instead of a number':
        '{ lib, ... }: { a.b = "2"; c = "x"; d = lib.mkForce 1; } # end\n',
      'a value in mkDefault':
        '{ lib, ... }: { a.b = lib.mkDefault 2; c = "x"; d = lib.mkForce 1; } # end\n',
      'under a condition':
        '{ lib, ... }: { a.b = lib.mkIf false 2; c = "x"; d = lib.mkForce 1; } # end\n',
      'other formals': '{ lib, pkgs, ... }: { a.b = 2; c = "x"; d = lib.mkForce 1; } # end\n',
      'a new comment': '{ lib, ... }: { a.b = 2; /* new */ c = "x"; d = lib.mkForce 1; } # end\n',
      'another comment at the end':
        '{ lib, ... }: { a.b = 2; c = "x"; d = lib.mkForce 1; } # END\n',
      'a missing comment': '{ lib, ... }: { a.b = 2; c = "x"; d = lib.mkForce 1; }\n'
    }
  },
  'a value in mkOverride': {
    given: '{ lib, ... }: { a = lib.mkOverride 40 "x"; }',
    asked: set('a', 'y'),
    right: '{ lib, ... }: { a = lib.mkOverride 40 "y"; }',
    wrong: {
      'another priority': '{ lib, ... }: { a = lib.mkOverride 50 "y"; }',
      'no priority': '{ lib, ... }: { a = lib.mkOverride "y"; }',
      'an additional argument': '{ lib, ... }: { a = lib.mkOverride 40 "y" "y"; }',
      'another function': '{ lib, ... }: { a = lib.mkOrder 40 "y"; }'
    }
  },
  'a new option': {
    given: 'let a = { }; in { x, ... }: { a = { b = 1; }; c = x.mkIf true { }; d = [ { } ]; }',
    asked: set('a.n', 1),
    right:
      'let a = { }; in { x, ... }: { a = { b = 1; n = 1; }; c = x.mkIf true { }; d = [ { } ]; }',
    wrong: {
      'in the let':
        'let a = { n = 1; }; in { x, ... }: { a = { b = 1; }; c = x.mkIf true { }; d = [ { } ]; }',
      'in another set':
        'let a = { }; in { x, ... }: { a = { b = 1; }; n = 1; c = x.mkIf true { }; d = [ { } ]; }',
      'under a condition':
        'let a = { }; in { x, ... }: { a = { b = 1; }; c = x.mkIf true { a.n = 1; }; d = [ { } ]; }',
      'in a list':
        'let a = { }; in { x, ... }: { a = { b = 1; }; c = x.mkIf true { }; d = [ { a.n = 1; } ]; }',
      twice:
        'let a = { }; in { x, ... }: { a = { b = 1; n = 1; }; a.n = 1; c = x.mkIf true { }; d = [ { } ]; }',
      'as a part':
        'let a = { }; in { x, ... }: { a = { b = 1; n.n = 1; }; c = x.mkIf true { }; d = [ { } ]; }',
      'as a dynamic name':
        'let a = { }; in { x, ... }: { a = { b = 1; ${x} = 1; }; c = x.mkIf true { }; d = [ { } ]; }',
      'in a set that became rec':
        'let a = { }; in { x, ... }: { a = rec { b = 1; n = 1; }; c = x.mkIf true { }; d = [ { } ]; }'
    }
  },
  'items for a list': {
    given:
      '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
    asked: add('a', 'N'),
    right:
      '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "N"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
    wrong: {
      'another item':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "M"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      twice:
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "N" "N"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'an additional item':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "N" "M"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'in a comment':
        '{ lib, ... }: {\n  a = [\n    "x" # first "N"\n    # "off"\n    "y"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'in a string':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y N"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'under a condition':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n  ] ++ lib.optionals true [ "z" "N" ];\n  b = [ "x" ];\n}\n',
      'in another list':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" "N" ];\n}\n',
      'in a list in the list':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    [ "N" ]\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'as an interpolation':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "${"N"}"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'instead of an item':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "N"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      reordered:
        '{ lib, ... }: {\n  a = [\n    "y" # first\n    # "off"\n    "x"\n    "N"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'a comment becomes an item':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    "off"\n    "y"\n    "N"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'a missing comment':
        '{ lib, ... }: {\n  a = [\n    "x"\n    # "off"\n    "y"\n    "N"\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'with a comment':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "N" # new\n  ] ++ lib.optionals true [ "z" ];\n  b = [ "x" ];\n}\n',
      'another condition':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "N"\n  ] ++ lib.optionals false [ "z" ];\n  b = [ "x" ];\n}\n',
      'without the conditional items':
        '{ lib, ... }: {\n  a = [\n    "x" # first\n    # "off"\n    "y"\n    "N"\n  ];\n  b = [ "x" ];\n}\n'
    }
  },
  'an item that looks like an interpolation': {
    given: '{ y, ... }: { a = [ "x" ]; }',
    asked: add('a', '${y}'),
    right: '{ y, ... }: { a = [ "x" "\\${y}" ]; }',
    wrong: { 'an interpolation': '{ y, ... }: { a = [ "x" "${y}" ]; }' }
  },
  'a list next to a condition': {
    given: '{ lib, ... }: { a = lib.mkIf true [ "x" /* x */ ]; }',
    asked: add('a', 'N'),
    right: '{ lib, ... }: { a = lib.mkMerge [ (lib.mkIf true [ "x" /* x */ ]) [ "N" ] ]; }',
    wrong: {
      'inside the conditional list': '{ lib, ... }: { a = lib.mkIf true [ "x" /* x */ "N" ]; }',
      'of another function':
        '{ lib, ... }: { a = my.mkMerge [ (lib.mkIf true [ "x" /* x */ ]) [ "N" ] ]; }',
      'with another condition':
        '{ lib, ... }: { a = lib.mkMerge [ (lib.mkIf false [ "x" /* x */ ]) [ "N" ] ]; }',
      'with an item between':
        '{ lib, ... }: { a = lib.mkMerge [ (lib.mkIf true [ "x" /* x */ ]) "N" [ "N" ] ]; }',
      'with another comment':
        '{ lib, ... }: { a = lib.mkMerge [ (lib.mkIf true [ "x" /* y */ ]) [ "N" ] ]; }',
      'without the comment':
        '{ lib, ... }: { a = lib.mkMerge [ (lib.mkIf true [ "x" ]) [ "N" ] ]; }'
    }
  },
  'an element of a mkMerge that becomes empty': {
    given:
      '{ lib, ... }: { config = lib.mkMerge [ { a.b = 1; /* x */ } { d = 3; } { a.c = 2; } ]; }',
    asked: remove('a.c'),
    right: '{ lib, ... }: { config = lib.mkMerge [ { a.b = 1; /* x */ } { d = 3; } ]; }',
    wrong: {
      'another element is removed as well':
        '{ lib, ... }: { config = lib.mkMerge [ { a.b = 1; /* x */ } ]; }',
      'another element is removed instead':
        '{ lib, ... }: { config = lib.mkMerge [ { d = 3; } { a.c = 2; } ]; }',
      'a comment of another element is removed as well':
        '{ lib, ... }: { config = lib.mkMerge [ { a.b = 1; } { d = 3; } ]; }'
    }
  },
  'an element of a mkMerge with a comment': {
    given: '{ lib, ... }: { config = lib.mkMerge [ { /* x */ a.c = 2; } { } ]; }',
    asked: remove('a.c'),
    right: '{ lib, ... }: { config = lib.mkMerge [ { /* x */ } { } ]; }',
    wrong: {
      'the element is removed with its comment': '{ lib, ... }: { config = lib.mkMerge [ { } ]; }',
      'another element is removed as well':
        '{ lib, ... }: { config = lib.mkMerge [ { /* x */ } ]; }'
    }
  },
  'a line for a string': {
    given: "{ p, ... }: {\n  a = ''\n    x ${p} y\n    z\n  '';\n}\n",
    asked: add('a', 'N'),
    right: "{ p, ... }: {\n  a = ''\n    x ${p} y\n    z\n    N\n  '';\n}\n",
    wrong: {
      'less indentation': "{ p, ... }: {\n  a = ''\n    x ${p} y\n    z\n  N\n  '';\n}\n",
      'in the middle of a line': "{ p, ... }: {\n  a = ''\n    x ${p} y\n    z N\n  '';\n}\n",
      'another interpolation': "{ p, ... }: {\n  a = ''\n    x ${q} y\n    z\n    N\n  '';\n}\n",
      'other text after the interpolation':
        "{ p, ... }: {\n  a = ''\n    x ${p}\n    z\n    N\n  '';\n}\n",
      'other text before the interpolation':
        "{ p, ... }: {\n  a = ''\n    xx ${p} y\n    z\n    N\n  '';\n}\n",
      'a missing line': "{ p, ... }: {\n  a = ''\n    x ${p} y\n    N\n  '';\n}\n"
    }
  },
  'an option that is removed': {
    given: '{\n  # about a\n  a = 1; # a\n  # about b\n  b = 2; # b\n  c = { a = 1; };\n}\n',
    asked: remove('a'),
    right: '{\n  # about a\n  # about b\n  b = 2; # b\n  c = { a = 1; };\n}\n',
    wrong: {
      'another option instead': '{\n  # about a\n  a = 1; # a\n  # about b\n  c = { a = 1; };\n}\n',
      'another option as well': '{\n  # about a\n  # about b\n  c = { a = 1; };\n}\n',
      'the comment above another option as well':
        '{\n  # about a\n  b = 2; # b\n  c = { a = 1; };\n}\n',
      'the comment after another option as well':
        '{\n  # about a\n  # about b\n  b = 2;\n  c = { a = 1; };\n}\n',
      'commented out':
        '{\n  # about a\n  # a = 1; # a\n  # about b\n  b = 2; # b\n  c = { a = 1; };\n}\n',
      'a new option as well':
        '{\n  # about a\n  d = 1;\n  # about b\n  b = 2; # b\n  c = { a = 1; };\n}\n'
    }
  },
  'items that are removed': {
    given: '{ a = [ "x" /* x */ "y" "z" /* z */ ]; b = [ "x" ]; }',
    asked: remove('a', 'x'),
    right: '{ a = [ "y" "z" /* z */ ]; b = [ "x" ]; }',
    wrong: {
      'another item instead': '{ a = [ "x" /* x */ "z" /* z */ ]; b = [ "x" ]; }',
      'another item as well': '{ a = [ "z" /* z */ ]; b = [ "x" ]; }',
      'the same item of another list as well': '{ a = [ "y" "z" /* z */ ]; b = [ ]; }',
      reordered: '{ a = [ "z" "y" /* z */ ]; b = [ "x" ]; }',
      'the comment of another item as well': '{ a = [ "y" "z" ]; b = [ "x" ]; }'
    }
  },
  'an option that gets another name': {
    given: '{ a.b = { c = 1; /* c */ }; d = 2; }',
    asked: rename('a.b', 'a.n'),
    right: '{ a.n = { c = 1; /* c */ }; d = 2; }',
    wrong: {
      'another name': '{ a.m = { c = 1; /* c */ }; d = 2; }',
      'another value': '{ a.n = { c = 2; /* c */ }; d = 2; }',
      'only a part of the definitions': '{ a.n = { }; a.b = { c = 1; /* c */ }; d = 2; }',
      'another option': '{ a.n = { c = 1; /* c */ }; e = 2; }',
      'without a comment': '{ a.n = { c = 1; }; d = 2; }',
      'with a comment': '{ a.n = /* n */ { c = 1; /* c */ }; d = 2; }'
    }
  },
  'a new option in a rec set': {
    given: 'let n = 5; in rec { a = 1; b = a; c = n; }',
    asked: set('d', 1),
    right: 'let n = 5; in rec { a = 1; b = a; c = n; d = 1; }',
    wrong: { 'a set that is no longer rec': 'let n = 5; in { a = 1; b = a; c = n; d = 1; }' }
  },
  'a renamed option in a rec set': {
    given: 'let n = 5; in rec { a = 1; c = n; }',
    asked: rename('a', 'b'),
    right: 'let n = 5; in rec { b = 1; c = n; }',
    wrong: { 'a name that captures a variable': 'let n = 5; in rec { n = 1; c = n; }' }
  },
  'an import': {
    given: '{ ... }: { imports = [ ./a.nix /* a */ ]; b = [ ]; }',
    asked: use('./n.nix'),
    right: '{ ... }: { imports = [ ./a.nix /* a */ ./n.nix ]; b = [ ]; }',
    wrong: {
      'another file': '{ ... }: { imports = [ ./a.nix /* a */ ./m.nix ]; b = [ ]; }',
      'an additional file': '{ ... }: { imports = [ ./a.nix /* a */ ./n.nix ./m.nix ]; b = [ ]; }',
      'an additional item': '{ ... }: { imports = [ ./a.nix /* a */ ./n.nix m ]; b = [ ]; }',
      'in another list': '{ ... }: { imports = [ ./a.nix /* a */ ]; b = [ ./n.nix ]; }',
      'both files as one path': '{ ... }: { imports = [ ./a.nix./n.nix /* a */ ]; b = [ ]; }',
      'instead of another file': '{ ... }: { imports = [ ./n.nix /* a */ ]; b = [ ]; }',
      'without the comment': '{ ... }: { imports = [ ./a.nix ./n.nix ]; b = [ ]; }',
      'in a string': '{ ... }: { imports = [ ./a.nix /* a */ "./n.nix" ]; b = [ ]; }'
    }
  }
}

describe.each(Object.entries(TRIALS))('%s', (_, { given, asked, right, wrong }) => {
  it('is accepted if the result is right', () => {
    expect(verdict(given, right, asked)).toBe('accepted')
  })

  it.each(Object.entries(wrong))('is refused if the result is wrong: %s', (_, text) => {
    expect(verdict(given, text, asked)).toBe('caught')
  })
})

describe('a failed verification reports the difference', () => {
  const message = (before: string, after: string, operation: Operation) =>
    faultOf(before, after, operation)?.message.replace('the result differs from the request: ', '')

  it.each([
    ['{ a = 1; b = "x"; }', '{ a = 2; b = "y"; }', set('a', 2), 'b changes from "x" to "y"'],
    ['{ a = 1; }', '{ a = 2; b = 3; }', set('a', 2), 'b is added as 3'],
    ['{ a = 1; b = 3; }', '{ a = 2; }', set('a', 2), 'b is removed (it was 3)'],
    ['{ a = 1; }', '{ a = 3; }', set('a', 2), 'a is 3, not 2'],
    ['{ a = 1; }', '{ a = 1; }', set('b.c', 2), 'b.c = 2 is missing'],
    ['{ a = [ 1 ]; }', '{ a = [ 1 ]; }', add('a', 2), 'a does not contain 2'],
    ['{ a = [ 1 ]; }', '{ a = [ 1 2 2 ]; }', add('a', 2), 'a gets the item 2'],
    ['{ a = [ 1 ]; }', '{ a = [ 2 1 ]; }', add('a', 2), 'a changes from [ 1 ] to [ 2 1 ]'],
    ['{ a = [ 1 2 ]; }', '{ a = [ 1 2 ]; }', remove('a', 2), 'a still contains 2'],
    ['{ a = 1; }', '{ a = 1; }', remove('a'), 'a is still defined, as 1'],
    ['{ a.b = 1; }', '{ a.b = 1; }', remove('a'), 'a is still defined, as a.b = 1'],
    ['{ a = 1; }', '{ a = 1; }', rename('a', 'b'), 'b does not have exactly the definitions of a'],
    ['{ imports = [ ]; }', '{ imports = [ ]; }', use('./n.nix'), './n.nix is not always imported'],
    ['{ a = 1; # one\n}', '{ a = 2; # two\n}', set('a', 2), 'a comment is added: # two'],
    ['{ a = 1; # one\n}', '{ a = 2;\n}', set('a', 2), 'a comment is removed: # one'],
    ['{ a = 1; }', '{ b }: { a = 2; }', set('a', 2), 'it is not a module'],
    ['{ a = 1; }', 'x: { a = 2; }', set('a', 2), 'code outside the options changes'],
    [
      '{ x, ... }: { a = 1; }',
      '{ y, ... }: { a = 2; }',
      set('a', 2),
      'code outside the options changes'
    ],
    [
      '{ a = 1; }',
      '{ a = ; }',
      set('a', 2),
      'it has an error at line 1 (a name or a value is missing here)'
    ]
  ])('names the difference between %s and %s', (before, after, operation, difference) => {
    expect(message(before, after, operation)).toBe(difference)
  })

  it('shows a condition, omits the "config" of the module, and shortens a long value', () => {
    const before = '{ lib, ... }: { config = lib.mkIf on { b = 1; }; }'
    const after = `{ lib, ... }: { config = lib.mkIf on { b = "${'x'.repeat(70)}"; }; }`
    expect(message(before, after, set('a', 2))).toBe(
      `b changes from 1 if on to "${'x'.repeat(58)}… if on`
    )
  })
})
