// What `option` refuses: invalid command lines, and edits that cannot be made safely.

import { expect, test } from 'vitest'
import { FILE, given, HELP, STRING } from './support/option.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

test.concurrent('option refuses an edit that is not safe, with its place', async () => {
  await expectRefusal(given(), ['option', 'set', 'pc.nix', 'networking.hostName', '"a"', '-y'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:22:5: networking.hostName is defined here only if config.my.on. Nothing was written.
          22 |     hostName = "pc";
                   ^^^^^^^^^^^^^^^^
        Do:  to edit it, although it applies only if config.my.on:
               vfio-patch option set ${FILE} --conditional networking.hostName '"a"'
      `
  })
  await expectRefusal(given('{\n  a = [ 1 ;\n}\n'), ['option', 'get', 'pc.nix', 'a'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:2:10: "]" is missing here.
          2 |   a = [ 1 ;
                       ^
        Why: a file that Nix can't parse can't be edited safely.
        Do:  fix it, and check it with: nix-instantiate --parse ${FILE}
      `
  })
  const { code, stderr } = await given().run(['option', 'add', 'pc.nix', 'services', '1', '-y'])
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringMatching(
      /^vfio-patch: \/etc\/nixos\/pc\.nix:13:\d+: .*\n {4}13 \| .*\n +\^/
    )
  })
})

test.concurrent('option add refuses an item for a string and --lines for a list', async () => {
  const place = given(
    '{ ... }:\n{\n  nix.settings.experimental-features = "nix-command flakes";\n}\n'
  )
  const words = ['add', 'pc.nix', 'nix.settings.experimental-features', '"ca-derivations"', '-y']
  await expectRefusal(place, ['option', ...words], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:3:40: this is a string, and its text does not show what separates its items. Nothing was written.
          3 |   nix.settings.experimental-features = "nix-command flakes";
                                                     ^^^^^^^^^^^^^^^^^^^^
        Do:  set the whole string with "option set", or add --lines if its items are lines
      `
  })
  const list = given('{ boot.kernelParams = [ "quiet" ]; }\n')
  await expectRefusal(
    list,
    ['option', 'add', 'pc.nix', 'boot.kernelParams', '--lines', 'a', '-y'],
    {
      code: 3,
      stderr: text`
      vfio-patch: ${FILE}:1:23: this is a list, and lines can be added only to a string. Nothing was written.
          1 | { boot.kernelParams = [ "quiet" ]; }
                                    ^^^^^^^^^^^
        Do:  omit --lines to add items to the list
      `
    }
  )
})

test.concurrent('option add --lines refuses a quoted value without --string', async () => {
  const place = given('{ xkb.options = "a"; }\n')
  const words = ['option', 'add', 'pc.nix', 'xkb.options', '--lines', '"b"']
  await expectRefusal(place, [...words, '-y'], {
    code: 2,
    stderr: text`
      vfio-patch: --lines would write the quotes of "b" into the line.
        Do:  omit these quotes, or add --string if they belong to the line
      `
  })
  expect((await place.run([...words, '--string', '-y'])).code).toBe(0)
  expect(place.files()).toEqual({ 'pc.nix': '{ xkb.options = "a\\n\\"b\\""; }\n' })
})

test.concurrent('option add refuses a name that is not in scope', async () => {
  const place = given('{ ... }:\n{\n  boot.kernelParams = [ "quiet" ];\n}\n')
  const words = ['option', 'add', 'pc.nix', 'boot.kernelParams', 'debug', '--yes']
  await expectRefusal(place, words, {
    code: 2,
    stderr: text`
      vfio-patch: "debug" is not in scope where it would be written, so Nix would reject the file. Nothing was written.
        Do:  a text value needs Nix quotes inside the shell quotes, or --string;
             if it is an argument of the module, add it at the top:  { debug, ... }:
      `
  })
})

test.concurrent('option set refuses a word with a slash unless it is a string', async () => {
  const place = given('{ ... }:\n{\n  boot.loader.grub.enable = true;\n}\n')
  const call = ['option', 'set', 'pc.nix', 'time.timeZone']
  await expectRefusal(place, [...call, 'Europe/Berlin', '-y'], {
    code: 2,
    stderr: text`
      vfio-patch: Nix reads Europe/Berlin as the path of a file.
        Do:  for a string: ${STRING}
             for a file: ./Europe/Berlin
      `
  })
  for (const flags of [['--string', 'Europe/Berlin'], ['"Europe/Berlin"']]) {
    expect((await place.run([...call, ...flags, '-n', '-U0'])).stdout).toBe(text`
      --- a/pc.nix
      +++ b/pc.nix
      @@ -3,0 +4,2 @@
      +
      +  time.timeZone = "Europe/Berlin";
      `)
  }
})

test.concurrent('option refuses a file that does not exist', async () => {
  await expectRefusal(given(), ['option', 'set', 'p.nix', 'a', '1'], {
    code: 4,
    stderr: text`
      vfio-patch: /etc/nixos/p.nix does not exist.
        Do:  check the file name
      `
  })
  const place = makePlace({ 'hosts/pc.nix': '{ }\n' })
  await expectRefusal(place, ['option', 'add', 'hosts', '--string', '--', 'a', '-b c'], {
    code: 4,
    stderr: text`
      vfio-patch: there is no configuration.nix in /etc/nixos/hosts.
        Do:  pass the file: vfio-patch option add /etc/nixos/hosts/YOUR-FILE.nix --string -- a '-b c'
      `
  })
})

/** The words after `option`, the error, and the lines after it. */
type Case = [words: string[], what: string, ...more: string[]]

const GET = 'Do:  vfio-patch option get FILE'
const ALL = '     or, for all options of the file: vfio-patch option get FILE --flat'
const SET = 'Do:  vfio-patch option set FILE PATH VALUE'
const QUOTES = 'Why: a value with spaces must be quoted for the shell.'
const NEEDS_FILE = 'needs FILE: the file of a module; - is standard input.'
const NEEDS_PATH = 'needs PATH: the attribute path of an option, e.g. boot.kernelParams.'
const NEEDS_VALUE = 'needs VALUE: a value, written in Nix.'

test.concurrent.each<Case>([
  [
    [],
    '"option" needs ACTION: get, set, add, remove, rename or import.',
    'Do:  vfio-patch option ACTION'
  ],
  [['sett'], 'unknown command "option sett". Did you mean "option set"?', `Do:  ${HELP}`],
  [['pc.nix', 'a'], 'unknown command "option pc.nix".', `Do:  ${HELP}`],
  [['get'], `"option get" ${NEEDS_FILE}`, `${GET} [PATH]`],
  [['get', 'pc.nix'], '"option get" needs PATH or --flat.', `${GET} PATH`, ALL],
  [['get', 'pc.nix', 'a', 'b'], 'unexpected argument "b".', QUOTES, `${GET} [PATH]`],
  [['set', 'pc.nix'], `"option set" ${NEEDS_PATH}`, SET],
  [['set', 'pc.nix', 'a'], `"option set" ${NEEDS_VALUE}`, SET],
  [['set', 'pc.nix', 'a', 'f', 'x'], 'unexpected argument "x".', QUOTES, SET],
  [
    ['add', 'pc.nix', 'a'],
    `"option add" ${NEEDS_VALUE}`,
    'Do:  vfio-patch option add FILE PATH VALUE...'
  ],
  [
    ['remove', 'pc.nix'],
    `"option remove" ${NEEDS_PATH}`,
    'Do:  vfio-patch option remove FILE PATH [VALUE...]'
  ],
  [
    ['import', 'pc.nix'],
    '"option import" needs MODULE: the path of a module, e.g. ./vfio.',
    'Do:  vfio-patch option import FILE MODULE'
  ],
  [
    ['rename', 'pc.nix', 'a'],
    '"option rename" needs NEW: its new attribute path, e.g. hardware.graphics.',
    'Do:  vfio-patch option rename FILE OLD NEW'
  ],
  [['set', 'pc.nix', 'a', '1', '--remove'], '"option set" does not take --remove.', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', ''], 'the value is empty.', `Do:  ${STRING}`],
  [
    ['set', 'pc.nix', 'a', '[ 1'],
    'the value is not Nix: "]" is missing here.',
    '  1 | [ 1',
    '         ^',
    `Do:  ${STRING}`
  ],
  [['add', 'pc.nix', 'a', '1', '--at', '2'], '--at takes end or start, got "2".'],
  [['get', 'pc.nix', 'a', '--yes'], '"option get" does not take --yes.', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--flat'], '"option set" does not take --flat.', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--at=end'], '"option set" does not take --at.', `Do:  ${HELP}`],
  [
    ['set', 'pc.nix', 'a', '1', '--user', 'b'],
    '"option set" does not take --user.',
    `Do:  ${HELP}`
  ],
  [
    ['set', 'pc.nix', 'a', '1', '--strng'],
    'unknown flag "--strng". Did you mean "--string"?',
    `Do:  ${HELP}`
  ],
  [
    ['set', 'pc.nix', 'a', '1', '-q'],
    '--quiet would hide the change that you are asked to confirm.',
    'Do:  add --yes, or omit --quiet'
  ]
])('option refuses invalid arguments: %j', async (words, ...lines) => {
  const stderr = `vfio-patch: ${lines.join('\n  ')}\n`
  await expectRefusal(given(), ['option', ...words], { code: 2, stderr })
})
