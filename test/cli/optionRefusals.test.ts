// What `option` refuses: calls that can't be meant, and edits that can't be made safely.

import { expect, test } from 'vitest'
import { FILE, given, HELP, STRING } from './support/option.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

test.concurrent('what can not be edited safely is refused, with its place', async () => {
  await expectRefusal(given(), ['option', 'set', 'pc.nix', 'networking.hostName', '"a"', '-y'], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:22:5: networking.hostName is defined here only if config.my.on. Nothing was written.
          22 |     hostName = "pc";
                   ^^^^^^^^^^^^^^^^
        Do:  define it in a module of its own and import that, or edit line 22 of ${FILE} yourself
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

test.concurrent('an item is not added to a string on one line', async () => {
  const place = given(
    '{ ... }:\n{\n  nix.settings.experimental-features = "nix-command flakes";\n}\n'
  )
  const words = ['add', 'pc.nix', 'nix.settings.experimental-features', '"ca-derivations"', '-y']
  await expectRefusal(place, ['option', ...words], {
    code: 3,
    stderr: text`
      vfio-patch: ${FILE}:3:40: this is a string, and nothing shows what separates its items. Nothing was written.
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

test.concurrent('--lines takes no quotation marks by mistake', async () => {
  const place = given('{ xkb.options = "a"; }\n')
  const words = ['option', 'add', 'pc.nix', 'xkb.options', '--lines', '"b"']
  await expectRefusal(place, [...words, '-y'], {
    code: 2,
    stderr: text`
      vfio-patch: --lines takes "b" as it is, so its quotation marks would become part of the line.
        Do:  omit these quotation marks; or add --string if they belong to the line
      `
  })
  expect((await place.run([...words, '--string', '-y'])).code).toBe(0)
  expect(place.files()).toEqual({ 'pc.nix': '{ xkb.options = "a\\n\\"b\\""; }\n' })
})

test.concurrent('a word without quotes is a name', async () => {
  const place = given('{ ... }:\n{\n  boot.kernelParams = [ "quiet" ];\n}\n')
  const words = ['option', 'add', 'pc.nix', 'boot.kernelParams', 'debug', '--yes']
  await expectRefusal(place, words, {
    code: 2,
    stderr: text`
      vfio-patch: "debug" is not in scope where it would be written, so Nix would reject the file. Nothing was written.
        Do:  text needs quotes of its own, or --string;
             if it is an argument of the module, name it at the top:  { debug, ... }:
      `
  })
})

test.concurrent('a word with a slash is the path of a file', async () => {
  const place = given('{ ... }:\n{\n  boot.loader.grub.enable = true;\n}\n')
  const call = ['option', 'set', 'pc.nix', 'time.timeZone']
  await expectRefusal(place, [...call, 'Europe/Berlin', '-y'], {
    code: 2,
    stderr: text`
      vfio-patch: Nix reads Europe/Berlin as the path of a file.
        Do:  if text is meant: ${STRING}
             if a file is meant: ./Europe/Berlin
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

test.concurrent('a file that is not there', async () => {
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

/** The words behind `option`, what is said of them, and the lines behind that. */
type Case = [words: string[], what: string, ...more: string[]]

const GET = 'Do:  vfio-patch option get FILE PATH'
const ALL = '     or all of a file: vfio-patch option get FILE --flat'
const SET = 'Do:  vfio-patch option set FILE PATH VALUE'
const BLANKS = 'Why: a value with blanks needs quotes around it for the shell.'

test.concurrent.each<Case>([
  [[], '"option" needs to know what to do: get, set, add, remove or import.', `Do:  ${HELP}`],
  [['sett'], 'unknown command "option sett". Did you mean "option set"?', `Do:  ${HELP}`],
  [['pc.nix', 'a'], 'unknown command "option pc.nix".', `Do:  ${HELP}`],
  [['get'], '"option get" needs a file.', GET, ALL],
  [['get', 'pc.nix'], '"option get" needs the path of an option.', GET, ALL],
  [['get', 'pc.nix', 'a', 'b'], '"b" is one too many for "option get".', BLANKS, GET],
  [['set', 'pc.nix'], '"option set" needs the path of an option.', SET],
  [['set', 'pc.nix', 'a'], '"option set" needs a value for a.', SET],
  [['set', 'pc.nix', 'a', 'f', 'x'], '"x" is one too many for "option set".', BLANKS, SET],
  [
    ['add', 'pc.nix', 'a'],
    '"option add" needs a value for a.',
    'Do:  vfio-patch option add FILE PATH VALUE...'
  ],
  [
    ['remove', 'pc.nix'],
    '"option remove" needs the path of an option.',
    'Do:  vfio-patch option remove FILE PATH [VALUE...]'
  ],
  [
    ['import', 'pc.nix'],
    '"option import" needs the module to import.',
    'Do:  vfio-patch option import FILE MODULE'
  ],
  [['set', 'pc.nix', 'a', ''], 'the value "" says nothing.', `Do:  ${STRING}`],
  [
    ['set', 'pc.nix', 'a', '[ 1'],
    'the value is not Nix: "]" is missing here.',
    '  1 | [ 1',
    '         ^',
    `Do:  ${STRING}`
  ],
  [['add', 'pc.nix', 'a', '1', '--at', '2'], '--at takes end or start, got "2".'],
  [['get', 'pc.nix', 'a', '--yes'], '--yes does not go with "option get".', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--flat'], '--flat does not go with "option set".', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--at=end'], '--at does not go with "option set".', `Do:  ${HELP}`],
  [['set', 'pc.nix', 'a', '1', '--user', 'b'], '--user does not go with "option".', `Do:  ${HELP}`],
  [
    ['set', 'pc.nix', 'a', '1', '--strng'],
    'unknown option "--strng". Did you mean "--string"?',
    `Do:  ${HELP}`
  ],
  [
    ['set', 'pc.nix', 'a', '1', '-q'],
    '--quiet does not go with a question.',
    'Do:  add --yes, or leave --quiet away'
  ]
])('calls that can not be meant: %j', async (words, ...said) => {
  const stderr = `vfio-patch: ${said.join('\n  ')}\n`
  await expectRefusal(given(), ['option', ...words], { code: 2, stderr })
})

test.concurrent.each([
  [['set', 'pc.nix', 'a..b', '1'], /a\.\.b.* is not an attribute path/],
  [['import', 'pc.nix', 'vfio'], /"vfio" is not a path that can be imported/],
  [
    ['add', 'pc.nix', 'boot.extraModprobeConfig', '3'],
    /boot\.extraModprobeConfig is a string.*\n {2}Do: {2}give lines, each as one value, with --string\n$/
  ]
])('words that are none: %j', async (words, what) => {
  const place = given()
  const before = place.snapshot()
  const outcome = await place.run(['option', ...words])
  expect(outcome).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(what) })
  expect(place.snapshot()).toEqual(before)
})
