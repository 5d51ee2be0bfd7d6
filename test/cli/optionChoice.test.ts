// `option` on options that are defined several times, or only under a condition.

import { expect, test } from 'vitest'
import { FILE } from './support/option.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const WHOLE = text`
  { config, lib, ... }:
  {
    config = lib.mkIf config.my.on {
      networking.hostName = "a";
      boot.kernelParams = [ "quiet" ];
    };
  }
  `

const BOTH = text`
  { config, lib, ... }:
  {
    config = lib.mkMerge [
      (lib.mkIf config.my.on { networking.hostName = "a"; })
      (lib.mkIf (!config.my.on) { networking.hostName = "b"; })
    ];
  }
  `

const VALUES = text`
  { config, lib, ... }:
  {
    networking.hostName = lib.mkMerge [
      (lib.mkIf config.my.on "a")
      (lib.mkIf (!config.my.on) "b")
    ];
  }
  `

const HOST = 'networking.hostName'

const module = (content: string, others: Record<string, string> = {}) =>
  makePlace({ 'pc.nix': content, ...others })

/** Makes the edit, which has to succeed. Returns the module, and what was said besides the patch. */
async function edit(place: Place, words: readonly string[]): Promise<[string, string]> {
  const outcome = await place.run(['option', ...words, '--yes'])
  expect(outcome.code, outcome.stderr).toBe(0)
  return [place.read('pc.nix'), outcome.stderr]
}

test.concurrent('a definition under a condition is refused with the call that edits it', async () => {
  await expectRefusal(module(WHOLE), ['option', 'set', 'pc.nix', HOST, '"z"', '-y'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:4:5: networking.hostName is defined here only if config.my.on. Nothing was written.
          4 |     networking.hostName = "a";
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^
        Do:  to edit it, although it applies only if config.my.on:
               vfio-patch option set ${FILE} --conditional networking.hostName '"z"'
      `
  })
})

test.concurrent('several definitions are refused with a call for each, and one for all', async () => {
  await expectRefusal(module(BOTH), ['option', 'set', 'pc.nix', HOST, '"z"', '-y'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:4:30: networking.hostName is defined only under conditions (lines 4, 5). Nothing was written.
          4 |     (lib.mkIf config.my.on { networking.hostName = "a"; })
                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^
        Do:  to edit line 4, only if config.my.on:
               vfio-patch option set ${FILE} --line 4 networking.hostName '"z"'
             to edit line 5, only if (!config.my.on):
               vfio-patch option set ${FILE} --line 5 networking.hostName '"z"'
             to edit all of them:
               vfio-patch option set ${FILE} --all networking.hostName '"z"'
      `
  })
  const words = ['option', 'set', 'pc.nix', HOST, '--string', 'z', '--conditional', '-y']
  const { code, stderr } = await module(VALUES).run(words)
  expect(code).toBe(3)
  expect(stderr).toContain(
    `vfio-patch option set ${FILE} --line 5 --string networking.hostName z\n`
  )
})

test.concurrent('a new option in a module under a condition is refused with the call that adds it', async () => {
  await expectRefusal(module(WHOLE), ['option', 'set', 'pc.nix', 'a.b', '1', '-y'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:3:3: config is the result of lib.mkIf here, so a definition added inside would not always apply. Nothing was written.
          3 |   config = lib.mkIf config.my.on {
                ^^^^^^
        Do:  to add it there, so that it applies only if config.my.on:
               vfio-patch option set ${FILE} --conditional a.b 1
      `
  })
})

test.concurrent('--conditional edits, or adds, under the condition', async () => {
  const set = ['set', 'pc.nix', HOST, '"z"', '--conditional']
  expect((await edit(module(WHOLE), set))[0]).toBe(WHOLE.replace('"a"', '"z"'))
  const added = ['set', 'pc.nix', 'networking.domain', '"z"', '--conditional']
  expect((await edit(module(WHOLE), added))[0]).toBe(
    WHOLE.replace('"a";', '"a";\n    networking.domain = "z";')
  )
  const item = ['add', 'pc.nix', 'boot.kernelParams', '"z"', '--conditional']
  expect((await edit(module(WHOLE), item))[0]).toBe(WHOLE.replace('"quiet"', '"quiet" "z"'))
})

test.concurrent('option add without a flag adds an item that always applies', async () => {
  const [after] = await edit(module(WHOLE), ['add', 'pc.nix', 'boot.kernelParams', '"z"'])
  expect(after).toBe(text`
    { config, lib, ... }:
    {
      config = lib.mkMerge [
        (lib.mkIf config.my.on {
          networking.hostName = "a";
          boot.kernelParams = [ "quiet" ];
        })
        {
          boot.kernelParams = [ "z" ];
        }
      ];
    }
    `)
})

test.concurrent('--all edits every definition', async () => {
  for (const given of [BOTH, VALUES]) {
    const [after, said] = await edit(module(given), ['set', 'pc.nix', HOST, '"z"', '--all'])
    expect(after).toBe(given.replace('"a"', '"z"').replace('"b"', '"z"'))
    expect(said).not.toContain('too')
  }
})

test.concurrent('--line edits the definition at the line, and a note names the others', async () => {
  for (const given of [BOTH, VALUES]) {
    const [after, said] = await edit(module(given), ['set', 'pc.nix', HOST, '"z"', '--line', '5'])
    expect(after).toBe(given.replace('"b"', '"z"'))
    expect(said).toContain('Note: line 4 sets networking.hostName, too, only if config.my.on.\n')
  }
  const removed = ['remove', 'pc.nix', HOST, '--line', '4']
  expect((await edit(module(BOTH), removed))[0]).toBe(
    BOTH.replace('{ networking.hostName = "a"; }', '{ }')
  )
  const item = ['add', 'pc.nix', 'boot.kernelParams', '"z"', '--line', '5']
  expect((await edit(module(WHOLE), item))[0]).toBe(WHOLE.replace('"quiet"', '"quiet" "z"'))
  const added = ['set', 'pc.nix', 'a.b', '1', '--line', '3']
  expect((await edit(module(WHOLE), added))[0]).toContain('    a.b = 1;\n')
})

test.concurrent.each([
  [
    ['--line', '9'],
    text`
      vfio-patch: ${FILE} has no definition of networking.hostName at line 9. Nothing was written.
        Do:  pass a line where it is defined: 4, 5
      `
  ],
  [
    ['--line', '0'],
    text`
      vfio-patch: --line needs the number of a line, got "0".
        Do:  e.g. --line 12
      `
  ],
  [
    ['--line', '4', '--all'],
    text`
      vfio-patch: --line and --all cannot be used together.
        Do:  omit one of them
      `
  ]
])('%j is refused', async (flags, stderr) => {
  const words = ['option', 'set', 'pc.nix', HOST, '"z"', '-y', ...flags]
  await expectRefusal(module(BOTH), words, { code: 2, stderr })
})

test.concurrent('--line refuses a line with several definitions', async () => {
  const place = module(
    '{ lib, c, ... }: { x = lib.mkMerge [ (lib.mkIf c 1) (lib.mkIf (!c) 2) ]; }\n'
  )
  await expectRefusal(place, ['option', 'set', 'pc.nix', 'x', '3', '--line', '1', '-y'], {
    code: 2,
    stderr: text`
      vfio-patch: x is defined 2 times at line 1. Nothing was written.
        Do:  omit --line, and pass --all to edit all of them
      `
  })
})

test.concurrent('option set notes the imported files that set the option, too', async () => {
  const place = module('{\n  imports = [ ./net.nix ./parts ./none.nix ];\n}\n', {
    'net.nix': '{ networking.hostName = "x"; }\n',
    'parts/default.nix': '{ imports = [ ./host.nix ]; }\n',
    'parts/host.nix': '{ lib, c, ... }:\n{ networking = lib.mkIf c { hostName = "y"; }; }\n'
  })
  const [, said] = await edit(place, ['set', 'pc.nix', HOST, '"z"'])
  expect(said).toContain(text`
    Note: ./net.nix:1 sets networking.hostName, too.
    Note: ./parts/host.nix:2 sets networking.hostName, too, only if c.
    `)
})

test.concurrent('--json has the definitions and the places of an error', async () => {
  const json = async (given: string, words: readonly string[]) => {
    const { stdout } = await module(given).run(['option', 'set', 'pc.nix', ...words, '--json'])
    return JSON.parse(stdout).error
  }
  const error = await json(BOTH, [HOST, '"z"'])
  expect(error.code).toBe('CONDITIONAL')
  expect(error.definitions).toEqual(
    [
      { line: 4, column: 30, source: '"a"', conditions: ['config.my.on'] },
      { line: 5, column: 33, source: '"b"', conditions: ['(!config.my.on)'] }
    ].map(it => ({
      ...{ option: HOST, names: ['networking', 'hostName'], ...it },
      ...{ priorities: [], inherited: false }
    }))
  )
  const place = await json(WHOLE, ['a.b', '1'])
  expect(place.places).toEqual([{ line: 3, column: 34, conditions: ['config.my.on'] }])
  expect(Object.keys(await json('{ a = [ ]; }', ['a.b', '1']))).not.toContain('places')
})
