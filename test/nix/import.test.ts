import { describe, expect, it } from 'vitest'
import { expr, parseDocument } from '../../src/nix/index.ts'
import { type EditOf, edited, nix, refusalOf } from './support.ts'

const importVfio: EditOf = it => it.import('./vfio')

describe('import', () => {
  const cases: [string, string, string][] = [
    ['into one line', '{ imports = [ ./a.nix ]; }', '{ imports = [ ./a.nix ./vfio ]; }'],
    [
      'to a list of several lines',
      '{\n  imports = [\n    ./a.nix\n  ];\n}',
      '{\n  imports = [\n    ./a.nix\n    ./vfio\n  ];\n}'
    ],
    [
      'in the layout of a generated configuration',
      '{\n  imports =\n    [ # hardware\n      ./a.nix\n    ];\n}',
      '{\n  imports =\n    [ # hardware\n      ./a.nix\n      ./vfio\n    ];\n}'
    ],
    [
      'to the list literal of a ++',
      '{ x, ... }: { imports = [ ./a.nix ] ++ x; }',
      '{ x, ... }: { imports = [ ./a.nix ./vfio ] ++ x; }'
    ],
    [
      'with ++ after a call',
      '{ imports = map (n: n) [ ./a ]; }',
      '{ imports = map (n: n) [ ./a ] ++ [ ./vfio ]; }'
    ],
    [
      'with ++ after a variable',
      '{ x, ... }: { imports = x; }',
      '{ x, ... }: { imports = x ++ [ ./vfio ]; }'
    ],
    [
      'with ++ after an if',
      '{ x, ... }: { imports = if x then [ ] else [ ./a ]; }',
      '{ x, ... }: { imports = (if x then [ ] else [ ./a ]) ++ [ ./vfio ]; }'
    ],
    [
      'to a list inside a let',
      '{ imports = let d = ./.; in [ (d + "/a") ]; }',
      '{ imports = let d = ./.; in [ (d + "/a") ./vfio ]; }'
    ],
    [
      'next to config, not inside it',
      '{\n  config = { a = 1; };\n}\n',
      '{\n  imports = [ ./vfio ];\n\n  config = { a = 1; };\n}\n'
    ],
    [
      'to a module without imports',
      '{ ... }:\n{\n  a = 1;\n}\n',
      '{ ... }:\n{\n  imports = [ ./vfio ];\n\n  a = 1;\n}\n'
    ],
    [
      'to a module without imports on one line',
      '{ ... }: { a = 1; }',
      '{ ... }: { imports = [ ./vfio ]; a = 1; }'
    ],
    ['into nothing', '{ ... }: { }', '{ ... }: {\n  imports = [ ./vfio ];\n}'],
    [
      'above a first comment',
      '{\n  # the first\n  a = 1;\n\n  b = 2;\n}\n',
      '{\n  imports = [ ./vfio ];\n\n  # the first\n  a = 1;\n\n  b = 2;\n}\n'
    ],
    [
      'after a comment on the line of the brace',
      '{ # a module\n  a = 1;\n\n  b = 2;\n}\n',
      '{ # a module\n  imports = [ ./vfio ];\n\n  a = 1;\n\n  b = 2;\n}\n'
    ],
    [
      'after a blank line at the start of the set',
      '{ # a module\n\n  a = 1;\n}\n',
      '{ # a module\n\n  imports = [ ./vfio ];\n\n  a = 1;\n}\n'
    ]
  ]
  it.each(cases)('adds the file %s', (_, given, then) =>
    expect(edited(given, importVfio)).toBe(then)
  )

  it('recognizes a module however its path is written', () => {
    for (const spelling of [
      './vfio',
      './vfio/default.nix',
      './././vfio',
      './x/../vfio',
      '(import ./vfio)',
      '(import ./vfio { })',
      '(./. + "/vfio")',
      '"${./.}/vfio"'
    ]) {
      const given = `{ imports = [ ./a.nix ${spelling} ]; }`
      expect(edited(given, importVfio)).toBe(given)
    }
    expect(edited('{ imports = [ ./vfio.nix ../vfio ]; }', importVfio)).toContain(
      '../vfio ./vfio ]'
    )
  })

  it('writes paths that cannot be path literals', () => {
    expect(edited('{ imports = [ ]; }', it => it.import('./my modules'))).toBe(
      '{ imports = [ (./. + "/my modules") ]; }'
    )
  })

  it('refuses a string that is not a path, and a value of imports that is not a list', () => {
    expect(refusalOf('{ }', it => it.import('vfio'))).toBe('BAD_VALUE')
    expect(refusalOf('{ imports, ... }: { inherit imports; }', importVfio)).toBe('INHERITED')
    expect(refusalOf('{ imports = "x"; }', importVfio)).toBe('NOT_A_LIST')
  })

  it('lists what a document imports', () => {
    const doc = parseDocument(nix`
      { modulesPath, ... }:
      {
        imports = [ ./a.nix (import ./b) (modulesPath + "/c.nix") <nixpkgs/d> "/f" ] ++ [ ../e ];
      }
    `)
    expect(doc.imports()).toEqual(['./a.nix', './b', '/f', '../e'])
    expect(doc.importOf('./b/default.nix')?.type).toBe('parenthesized_expression')
    expect(doc.importOf('./c')).toBeUndefined()
  })
})

it('adds an import although the file is already imported under a condition', () => {
  const given = '{ c, lib, ... }: { imports = [ ./a.nix ] ++ lib.optionals c [ ./vfio ]; }'
  expect(edited(given, it => it.import('./vfio'))).toBe(
    '{ c, lib, ... }: { imports = [ ./a.nix ./vfio ] ++ lib.optionals c [ ./vfio ]; }'
  )
})

it('writes a path to import unchanged', () => {
  expect(edited('{ x, ... }: { }', it => it.import('/etc/${x}'))).toBe(
    '{ x, ... }: {\n  imports = [ (/. + "/etc/\\${x}") ];\n}'
  )
  expect(refusalOf('{ }', it => it.import('./a\ud800'))).toBe('BAD_VALUE')
})

describe('removeImport', () => {
  const spellings = [
    './vfio/default.nix',
    '(import ./vfio)',
    '(./. + "/vfio")',
    './x/../vfio',
    '"${./.}/vfio"'
  ]
  it.each(spellings)('removes %s', item => {
    const given = `{ imports = [ ./a.nix ${item} ]; }`
    const then = '{ imports = [ ./a.nix ]; }'
    expect(edited(given, it => it.removeImport('./vfio'))).toBe(then)
    expect(edited(given, it => it.removeIn('imports', [expr('./vfio/')]))).toBe(then)
  })

  it('removes imports under a condition, too, and undoes import', () => {
    const given =
      '{ lib, c, ... }: { imports = [ ./a.nix ] ++ lib.optional c ./a.nix ++ lib.optionals c [ ./vfio ]; }'
    expect(edited(given, it => it.removeImport('./vfio/default.nix'))).toBe(
      given.replace('[ ./vfio ]', '[ ]')
    )
    expect(edited(given, it => it.import('./b c').removeImport('././b c'))).toBe(given)
  })

  it('does nothing without such an import, and compares other lists as before', () => {
    for (const given of ['{ }', '{ imports = [ ./b ]; }', '{ imports = [ x ]; }']) {
      expect(edited(given, it => it.removeImport('./vfio'))).toBe(given)
    }
    const list = '{ l = [ ./vfio/default.nix ]; }'
    expect(edited(list, it => it.removeIn('l', [expr('./vfio')]))).toBe(list)
    expect(refusalOf('{ }', it => it.removeImport('vfio'))).toBe('BAD_VALUE')
  })
})
