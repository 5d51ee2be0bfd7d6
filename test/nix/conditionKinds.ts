// Options that are defined under a condition, and what edits make of them. `on` is the condition.

import type { EditOf } from './support.ts'
import { nix } from './support.ts'

/** One kind. `off` and `on` are the values of the options after the edit. */
interface ConditionKind {
  name: string
  given: string
  edit: EditOf
  after: string
  /** The option that is evaluated. */
  option: 'l' | 't' | 'x' | 'y'
  off: unknown
  on: unknown
}

const MODULE = nix`
  { lib, on, ... }:
  {
    config = lib.mkIf on {
      # what it needs
      l = [ "a" ]; # quiet
      t = ''
        one
          two ${'$'}{toString 1}
      '';
      x = "a";
    };
  }
`

const PARTS = nix`
  { lib, on, ... }:
  {
    config = lib.mkMerge [
      {
        y = "plain";
      }
      (lib.mkIf on {
        l = [ "a" ];
        x = "a";
      })
      (lib.mkIf (!on) { x = "b"; })
    ];
  }
`

const VALUES = nix`
  { lib, on, ... }:
  {
    l = lib.mkIf on [
      "a"
      "b"
    ];
    x = lib.mkMerge [
      (lib.mkIf on "a")
      (lib.mkIf (!on) (lib.mkForce "b"))
    ];
    y = lib.mkIf on (lib.mkDefault "a");
  }
`

/** `MODULE` as the first part of a `mkMerge`, with another part. */
const merged = (part: string) => nix`
  { lib, on, ... }:
  {
    config = lib.mkMerge [
      (lib.mkIf on {
        # what it needs
        l = [ "a" ]; # quiet
        t = ''
          one
            two ${'$'}{toString 1}
        '';
        x = "a";
      })
      {
        ${part}
      }
    ];
  }
`

const TEXT = 'one\n  two 1\n'

export const KINDS: readonly ConditionKind[] = [
  {
    name: 'a list in a config under a condition gets a part that always applies',
    given: MODULE,
    edit: it => it.addIn('l', ['X']),
    after: merged('l = [ "X" ];'),
    ...{ option: 'l', off: ['X'], on: ['a', 'X'] }
  },
  {
    name: 'a text in a config under a condition gets a part that always applies',
    given: MODULE,
    edit: it => it.addIn('t', ['three', 'four']),
    after: merged('t = "three\\nfour";'),
    ...{ option: 't', off: 'three\nfour', on: `${TEXT}\nthree\nfour` }
  },
  {
    name: 'with conditional, the item is added under the condition',
    given: MODULE,
    edit: it => it.addIn('l', ['X'], { conditional: true }),
    after: MODULE.replace('[ "a" ]', '[ "a" "X" ]'),
    ...{ option: 'l', off: [], on: ['a', 'X'] }
  },
  {
    name: 'a line is added under the condition',
    given: MODULE,
    edit: it => it.addIn('t', ['three'], { conditional: true }),
    after: MODULE.replace('1}\n', '1}\n      three\n'),
    ...{ option: 't', off: '', on: `${TEXT}three\n` }
  },
  {
    name: 'a value under the condition is set with conditional',
    given: MODULE,
    edit: it => it.setIn('x', 'n', { conditional: true }),
    after: MODULE.replace('x = "a"', 'x = "n"'),
    ...{ option: 'x', off: 'default', on: 'n' }
  },
  {
    name: 'a new option is added under the condition',
    given: MODULE,
    edit: it => it.setIn('y', 'n', { conditional: true }),
    after: MODULE.replace('x = "a";', 'x = "a";\n    y = "n";'),
    ...{ option: 'y', off: 'default', on: 'n' }
  },
  {
    name: 'a new option is added to a part that always applies, also with conditional',
    given: PARTS,
    edit: it => it.setIn('t', 'n', { conditional: true }),
    after: PARTS.replace('y = "plain";', 'y = "plain";\n\n      t = "n";'),
    ...{ option: 't', off: 'n', on: 'n' }
  },
  {
    name: 'a list in a part under a condition gets a definition in the plain part',
    given: PARTS,
    edit: it => it.addIn('l', ['X']),
    after: PARTS.replace('y = "plain";', 'y = "plain";\n\n      l = [ "X" ];'),
    ...{ option: 'l', off: ['X'], on: ['X', 'a'] }
  },
  {
    name: 'with all, every definition is set',
    given: PARTS,
    edit: it => it.setIn('x', 'n', { all: true }),
    after: PARTS.replace('x = "a"', 'x = "n"').replace('x = "b"', 'x = "n"'),
    ...{ option: 'x', off: 'n', on: 'n' }
  },
  {
    name: 'a list that is conditional itself gets another one in a mkMerge',
    given: VALUES,
    edit: it => it.addIn('l', ['X']),
    after: VALUES.replace(
      /l = [^;]*;/,
      'l = lib.mkMerge [\n    (lib.mkIf on [\n      "a"\n      "b"\n    ])\n    [ "X" ]\n  ];'
    ),
    ...{ option: 'l', off: ['X'], on: ['a', 'b', 'X'] }
  },
  {
    name: 'the item is added to a list that is conditional itself',
    given: VALUES,
    edit: it => it.addIn('l', ['X'], { conditional: true }),
    after: VALUES.replace('"b"\n  ]', '"b"\n    "X"\n  ]'),
    ...{ option: 'l', off: [], on: ['a', 'b', 'X'] }
  },
  {
    name: 'with all, each value of a mkMerge is set, and its mkForce is kept',
    given: VALUES,
    edit: it => it.setIn('x', 'n', { all: true }),
    after: VALUES.replace('on "a"', 'on "n"').replace('mkForce "b"', 'mkForce "n"'),
    ...{ option: 'x', off: 'n', on: 'n' }
  },
  {
    name: 'a value that is conditional itself is set without its mkDefault',
    given: VALUES,
    edit: it => it.setIn('y', 'n', { conditional: true }),
    after: VALUES.replace('(lib.mkDefault "a")', '"n"'),
    ...{ option: 'y', off: 'default', on: 'n' }
  },
  {
    name: 'a list in a conditional module in imports gets a definition in the module itself',
    given: '{ lib, on, ... }:\n{\n  imports = lib.optional on { l = [ "a" ]; };\n}\n',
    edit: it => it.addIn('l', ['X']),
    after:
      '{ lib, on, ... }:\n{\n  imports = lib.optional on { l = [ "a" ]; };\n\n  l = [ "X" ];\n}\n',
    ...{ option: 'l', off: ['X'], on: ['a', 'X'] }
  },
  {
    name: 'an item is removed from the lists under a condition too',
    given: '{ lib, on, ... }:\n{\n  l = [ "X" "a" ] ++ lib.optionals on [ "X" "b" ];\n}\n',
    edit: it => it.removeIn('l', ['X']),
    after: '{ lib, on, ... }:\n{\n  l = [ "a" ] ++ lib.optionals on [ "b" ];\n}\n',
    ...{ option: 'l', off: ['a'], on: ['a', 'b'] }
  }
]
