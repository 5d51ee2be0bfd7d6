// How `option` asks and writes, how it is undone, and how it works as a filter with `-`.

import { expect, test } from 'vitest'
import { CHECKED } from './support/machine.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { changed, FILE, given, MODULE, SUDO } from './support/option.ts'
import { expectRefusal, makePlace, type Outcome } from './support/place.ts'
import { patch, text } from './support/text.ts'

test.concurrent('option set -n shows the change, -o saves it, and undo reverts it', async () => {
  const place = given()
  const before = place.snapshot()
  const words = ['option', 'set', 'pc.nix', 'services.openssh.enable', 'false']
  const stdout = patch`
    --- a/pc.nix
    +++ b/pc.nix
    @@ -15,1 +15,1 @@
    -      enable = true;
    +      enable = false;
    `
  expect(await place.run([...words, '-n', '-U0'])).toEqual(changed(stdout, false))
  expect(place.snapshot()).toEqual(before)
  expect(await place.run([...words, '-U0', '-nqo', 'a.patch'])).toEqual({
    code: 1,
    stdout: '',
    stderr: ''
  })
  expect(place.read('a.patch')).toBe(stdout)

  expect(await place.run([...words, '-yU0'])).toEqual(changed(stdout, true))
  expect((await place.run(['undo', '--list'])).stdout).toMatch(
    /^RUN-1 {2}[\d-]+ [\d:]+ {2}option set {2}current {2}\/etc\/nixos\/pc.nix\n$/
  )
  expect(await place.run(['undo', '-qy', 'pc.nix'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(place.read('pc.nix')).toBe(MODULE)
})

test.concurrent('undo refuses if the file was edited after option set', async () => {
  const place = given()
  await place.run(['option', 'set', '-qy', 'pc.nix', 'sound.enable', 'true'])
  place.write('pc.nix', '{ }\n')
  await expectRefusal(place, ['undo', '--yes', 'pc.nix'], {
    code: 5,
    stderr: text`
      vfio-patch: ${FILE} was edited after the last option set, so undo would lose those edits. Nothing was written.
        Do:  revert the change in an editor
      `
  })
})

test.concurrent('undo has nothing to undo after option set --no-backup', async () => {
  const place = given()
  const words = ['option', 'set', 'pc.nix', 'sound.enable', 'true', '--yes', '--no-backup']
  const { code, stderr } = await place.run(words)
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `${FILE}: 1 change\n${CHECKED}\nWrote ${FILE}.\n`
  })
  expect(await place.run(['undo', '--yes', 'pc.nix'])).toEqual({
    code: 0,
    stdout: '',
    stderr: `Nothing to undo: no known run changed ${FILE}.\n`
  })
})

test.concurrent('option add edits a home-manager module, also with --root', async () => {
  const content = '{ pkgs, ... }:\n{\n  home.packages = [ pkgs.vim ];\n}\n'
  const place = makePlace({ 'home.nix': content })
  const words = ['option', 'add', '-qy', `${place.nixos}/home.nix`, 'home.packages', 'pkgs.git']
  expect(await place.run([...words, '--root', place.top])).toEqual({
    code: 0,
    stdout: '',
    stderr: ''
  })
  expect(place.read('home.nix')).toBe(content.replace('pkgs.vim', 'pkgs.vim pkgs.git'))
})

needing('python3')('option set asks on a terminal before it writes', async () => {
  const place = given('{\n  a = 1;\n}\n')
  const words = ['option', 'set', 'pc.nix', 'a', '2', '--parse-check=off', '--color=never']
  const steps = [{ until: '[y/N] ', send: 'y\r' }]
  expect(await onTerminal(place, words, { steps })).toEqual({
    terminal: text`
      ${FILE}: 1 change
      --- a/pc.nix
      +++ b/pc.nix
      @@ -1,3 +1,3 @@
       {
      -  a = 1;
      +  a = 2;
       }
      Checked: parses (built-in parser only; switched off).
      Write these changes? [y/N] y
      Wrote ${FILE}.
      Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo ${FILE}
      `,
    stdout: '',
    stderr: '',
    code: 0,
    restored: true
  })
  expect(place.read('pc.nix')).toBe('{\n  a = 2;\n}\n')
})

test.concurrent('option set without a terminal and --yes writes nothing', async () => {
  const place = given('{\n  a = 1;\n}\n')
  const { code, stderr } = await place.run(['option', 'set', 'pc.nix', 'a', '2'])
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: text`
      ${FILE}: 1 change
      ${CHECKED}
      vfio-patch: cannot ask for confirmation: standard input is not a terminal. Nothing was written.
        Do:  check the change with --dry-run, then add --yes
      `
  })
  expect(place.files()).toEqual({ 'pc.nix': '{\n  a = 1;\n}\n' })
})

/** Calls with the module on standard input. */
function filter(words: readonly string[], input: string): Promise<Outcome> {
  const script = `printf %s '${input.replaceAll("'", "'\\''")}' | "$@"`
  return makePlace().run(['option', ...words], { script })
}

test.concurrent('option with - reads standard input and prints the result', async () => {
  expect(await filter(['set', '-', 'services.printing.enable', 'true'], MODULE)).toEqual({
    code: 0,
    stdout: MODULE.replace('printing = { };', 'printing = {\n      enable = true;\n    };'),
    stderr: ''
  })
  expect(await filter(['remove', '-', 'services'], '{ services.a = 1;\r\n}')).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^\{\s*\}$/),
    stderr: ''
  })
  expect(await filter(['import', '-', './hardware.nix'], MODULE)).toEqual({
    code: 0,
    stdout: MODULE,
    stderr: 'Nothing to do: standard input is already up to date.\n'
  })
  expect(await filter(['get', '-', 'services.printing'], MODULE)).toEqual({
    code: 0,
    stdout: '-:18:5 services.printing = { }\n',
    stderr: ''
  })
})

test.concurrent('option with - prints no text if it refuses', async () => {
  expect(await filter(['add', '-', 'a', '2'], '{ a = { }; }\n')).toEqual({
    code: 3,
    stdout: '',
    stderr: expect.stringMatching(/^vfio-patch: -:1:7: .*\n {4}1 \| \{ a = \{ \}; \}\n {14}\^/)
  })
  expect(await filter(['get', '-', 'a'], '')).toEqual({
    code: 3,
    stdout: '',
    stderr: text`
      vfio-patch: standard input is empty. Nothing was written.
        Do:  pass a module: a file like { config, pkgs, ... }: { … }
      `
  })
  for (const flag of ['--dry-run', '--output=a.patch']) {
    expect(await filter(['set', '-', 'a', '2', flag], '{ }')).toEqual({
      code: 2,
      stdout: '',
      stderr: text`
        vfio-patch: ${flag.replace(/=.*/, '')} needs a file, got "-".
          Why: if the module is read from standard input, the result is only printed.
          Do:  pass the name of a file, or omit ${flag.replace(/=.*/, '')}
        `
    })
  }
})
