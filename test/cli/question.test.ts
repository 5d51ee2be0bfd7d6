// The question before a change is written, which is asked only on a terminal.

import { linkSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { namesOfModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { onTerminal, type Step } from './support/onTerminal.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const test = needing('python3')

const CONFIGURATION = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const FLAGS = ['configuration.nix', '--iommu', 'amd', '--color=never', '--parse-check=off']
const CHECKED = 'Checked: parses (built-in parser only; switched off).'
const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''
const NAMES = namesOfModules().replaceAll(/<.*?>/g, '')
const QUESTION = 'Write these changes? [y/N] '

/** What is shown before the question. */
const SHOWN =
  text`
    /etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
    --- a/configuration.nix
    +++ b/configuration.nix
    @@ -1,4 +1,11 @@
     { ... }:
     {
    +  imports = [ ./vfio ];
    +
    +  virtualisation.vfio = {
    +    enable = true;
    +    IOMMUType = "amd";
    +  };
    +
       system.stateVersion = "26.05";
     }
    ` +
  NAMES +
  `${CHECKED}\n`

function given(): Place {
  return makePlace({ 'configuration.nix': CONFIGURATION })
}

function answer(send: string): Step[] {
  return [{ until: QUESTION, send }]
}

test.each([
  ['Enter', '\r', '\n', 'Nothing was written.', 1],
  ['n', 'n\r', 'n\n', 'Nothing was written.', 1],
  ['anything else', 'yes please\r', 'yes please\n', 'Nothing was written.', 1],
  ['the end of input', '\x04', '\n', 'Nothing was written.', 1],
  ['y and the end of input', 'y\x04\x04', 'y\n', 'Nothing was written.', 1],
  ['Ctrl-C', '\x03', '^C\n', 'Cancelled. Nothing was written.', 130]
])('answering with %s writes nothing', async (_, send, echo, last, code) => {
  const place = given()
  const before = place.snapshot()
  expect(await onTerminal(place, ['apply', ...FLAGS], { steps: answer(send) })).toEqual({
    terminal: `${SHOWN}${QUESTION}${echo}${last}\n`,
    stdout: '',
    stderr: '',
    code,
    restored: true
  })
  expect(place.snapshot()).toEqual(before)
})

test.each(['y\r', 'Yes\r'])('answering with %j writes the change', async send => {
  const place = given()
  const outcome = await onTerminal(place, ['apply', ...FLAGS], { steps: answer(send) })
  expect(outcome).toEqual({
    terminal:
      `${SHOWN}${QUESTION}${send.trim()}\n` +
      text`
        Wrote /etc/nixos/vfio/ (new) and /etc/nixos/configuration.nix.
        Backup: /state/runs/RUN-1   Undo: ${SUDO}vfio-patch undo /etc/nixos/configuration.nix
        Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
                If the screen stays dark, choose the previous generation in the boot menu.
        `,
    stdout: '',
    stderr: '',
    code: 0,
    restored: true
  })
  expect(place.read('configuration.nix')).toContain('imports = [ ./vfio ];')
})

test.each([
  ['SIGTERM', 'Cancelled. Nothing was written.\n', 143],
  ['SIGINT', 'Cancelled. Nothing was written.\n', 130],
  ['SIGHUP', '', -1]
] as const)('the signal %s during the question writes nothing', async (signal, last, code) => {
  const place = given()
  const before = place.snapshot()
  const outcome = await onTerminal(place, ['apply', ...FLAGS], {
    steps: [{ until: QUESTION, signal }]
  })
  expect(outcome).toEqual({
    terminal: `${SHOWN}${QUESTION}${last === '' ? '' : `\n${last}`}`,
    stdout: '',
    stderr: '',
    code,
    restored: true
  })
  expect(place.snapshot()).toEqual(before)
})

test('undo asks before it writes', async () => {
  const place = given()
  await place.run(['apply', '--yes', ...FLAGS])
  const before = place.snapshot()
  const call = ['undo', 'configuration.nix', '--color', 'never']
  const steps = [{ until: 'Undo this? [y/N] ', send: '\r' }]
  const shown = text`
    Run RUN-1 (apply) will be undone:
      /etc/nixos/configuration.nix as it was
      /etc/nixos/vfio/: 12 files are deleted
    --- a/configuration.nix
    +++ b/configuration.nix
    @@ -1,11 +1,4 @@
     { ... }:
     {
    -  imports = [ ./vfio ];
    -
    -  virtualisation.vfio = {
    -    enable = true;
    -    IOMMUType = "amd";
    -  };
    -
       system.stateVersion = "26.05";
     }
    Undo this? [y/N]${' '}
    `
  expect(await onTerminal(place, call, { steps })).toMatchObject({
    terminal: `${shown}Nothing was written.\n`,
    code: 1
  })
  expect(place.snapshot()).toEqual(before)
  steps[0] = { until: '[y/N] ', send: 'y\r' }
  expect(await onTerminal(place, call, { steps })).toMatchObject({
    terminal: `${shown.trimEnd()} y\nUndid run RUN-1.\nNext:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot\n`,
    code: 0
  })
  expect(place.files()).toEqual({ 'configuration.nix': CONFIGURATION })
})

test('apply does not ask about a change that cannot be written', async () => {
  const place = given()
  linkSync(join(place.nixos, 'configuration.nix'), join(place.nixos, 'other'))
  expect(await onTerminal(place, ['apply', ...FLAGS])).toMatchObject({
    terminal:
      SHOWN +
      text`
        vfio-patch: /etc/nixos/configuration.nix has 2 hard links; replacing it would separate them. Nothing was written.
          Do:  copy it first: cp /etc/nixos/configuration.nix /etc/nixos/configuration.nix.new && mv /etc/nixos/configuration.nix.new /etc/nixos/configuration.nix
        `,
    code: 3
  })
})

const REMEDY = '  Do:  check the change with --dry-run, then add --yes\n'
const cannot = (why: string) =>
  `vfio-patch: cannot ask for confirmation: ${why}. Nothing was written.\n${REMEDY}`

test('apply refuses to write if it cannot ask on a terminal', async () => {
  const place = given()
  const headline = '/etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files\n'
  const { stdout } = await place.run(['diff', ...FLAGS])
  const call = ['apply', ...FLAGS]
  const stderr = `${headline}${CHECKED}\n`
  await expectRefusal(place, call, {
    code: 2,
    stdout,
    stderr: stderr + cannot('standard input is not a terminal')
  })
  // An answer from a pipe is not accepted either.
  const script = 'yes | "$@"'
  await expectRefusal(
    place,
    call,
    { code: 2, stdout, stderr: stderr + cannot('standard input is not a terminal') },
    { script }
  )

  const before = place.snapshot()
  expect(await onTerminal(place, call, { pipes: ['stderr'] })).toMatchObject({
    code: 2,
    stderr: `${headline}${NAMES}${CHECKED}\n${cannot('standard error is not a terminal')}`
  })
  expect(await onTerminal(place, [...call, '--no-input'])).toMatchObject({
    code: 2,
    terminal: SHOWN + cannot('--no-input was given')
  })
  expect(place.snapshot()).toEqual(before)
})

test('apply asks on the terminal when standard output is redirected to a file', async () => {
  const place = given()
  const { stdout } = await place.run(['diff', ...FLAGS])
  const outcome = await onTerminal(place, ['apply', ...FLAGS], {
    pipes: ['stdout'],
    steps: answer('n\r')
  })
  expect(outcome).toMatchObject({
    code: 1,
    stdout,
    terminal: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
      ${CHECKED}
      Write these changes? [y/N] n
      Nothing was written.
      `
  })
})
