// Flags for output and backups, and readers that stop early.

import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CHANGE, FLAGS, makeInstalled } from './support/machine.ts'
import { patchOfModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { expectRefusal, makeExample, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

// Tests that are not about the check with Nix switch it off.
const DIFF = ['diff', 'configuration.nix', ...FLAGS, '--parse-check=off']
const APPLY = ['apply', '--yes', 'configuration.nix', ...FLAGS, '--parse-check=off']
const CHECKED = 'Checked: parses (built-in parser only; switched off).'
const HEADLINE = '/etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files\n'

test.concurrent('-q prints only errors', async () => {
  const place = makeExample()
  const silent = { stdout: '', stderr: '' }
  expect(await place.run([...DIFF, '-q'])).toEqual({ code: 1, ...silent })
  expect(await place.run(['apply', '-nq', ...APPLY.slice(2)])).toEqual({ code: 1, ...silent })
  expect(await place.run([...APPLY, '-q'])).toEqual({ code: 0, ...silent })
  expect(await place.run([...DIFF, '-q'])).toEqual({ code: 0, ...silent })
  expect(await place.run(['undo', '-q', '-n', 'configuration.nix'])).toEqual({ code: 1, ...silent })
  expect(await place.run(['undo', '-q', '-y', 'configuration.nix'])).toEqual({ code: 0, ...silent })
  expect(await place.run([...DIFF, '-q', '-o', 'no/such/folder'])).toEqual({
    code: 4,
    stdout: '',
    stderr: text`
      vfio-patch: cannot write the patch to no/such/folder (ENOENT). Nothing was written.
        Do:  choose another place for it, e.g. -o ~/vfio.patch
      `
  })
})

test.concurrent('diff and apply -o save the patch in a file', async () => {
  const place = makeExample()
  const patch = CHANGE + patchOfModules()
  expect(await place.run([...DIFF, '-o', 'vfio.patch'])).toEqual({
    code: 1,
    stdout: patch,
    stderr: `${HEADLINE}${CHECKED}\n`
  })
  expect(place.read('vfio.patch')).toBe(patch)
  place.write('vfio.patch', 'older')
  expect((await place.run([...APPLY, '-qo', 'vfio.patch'])).code).toBe(0)
  expect(place.read('vfio.patch')).toBe(patch)
})

test.concurrent('-o refuses to replace the configuration or another Nix file', async () => {
  const place = makeExample()
  symlinkSync('configuration.nix', join(place.nixos, 'link'))
  const refusal = (name: string) => ({
    code: 2,
    stderr: text`
      vfio-patch: -o would replace ${name} with a patch. Nothing was written.
        Do:  choose another name for the patch, e.g. -o vfio.patch
      `
  })
  await expectRefusal(
    place,
    [...DIFF, '-o', 'configuration.nix'],
    refusal('/etc/nixos/configuration.nix')
  )
  await expectRefusal(place, [...DIFF, '-o', 'link'], refusal('/etc/nixos/configuration.nix'))
  await expectRefusal(place, [...DIFF, '-o', 'new.nix'], refusal('new.nix'))
})

test.concurrent('-U sets the number of context lines', async () => {
  const place = makeInstalled(text`
    { ... }:
    {
      imports = [ ./vfio ];
      virtualisation.vfio.enable = true;
      virtualisation.vfio.IOMMUType = "amd";
    }
    `)
  const call = ['diff', 'configuration.nix', '--iommu', 'intel', '--parse-check', 'off']
  const head = '--- a/configuration.nix\n+++ b/configuration.nix\n'
  const change =
    '-  virtualisation.vfio.IOMMUType = "amd";\n+  virtualisation.vfio.IOMMUType = "intel";\n'
  expect((await place.run([...call, '-U0'])).stdout).toBe(`${head}@@ -5,1 +5,1 @@\n${change}`)
  expect((await place.run([...call, '-U', '1'])).stdout).toBe(
    `${head}@@ -4,3 +4,3 @@\n   virtualisation.vfio.enable = true;\n${change} }\n`
  )
  expect((await place.run([...call, '--unified=9'])).stdout).toBe(
    `${head}@@ -1,6 +1,6 @@\n { ... }:\n {\n   imports = [ ./vfio ];\n   virtualisation.vfio.enable = true;\n${change} }\n`
  )
})

test.concurrent('undo has nothing to undo after apply --no-backup', async () => {
  const place = makeExample()
  const { code, stderr } = await place.run([...APPLY, '--no-backup'])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      ${HEADLINE.trimEnd()}
      ${CHECKED}
      Wrote /etc/nixos/vfio/ (new) and /etc/nixos/configuration.nix.
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
              If the screen stays dark, choose the previous generation in the boot menu.
      `
  })
  expect(await place.run(['undo', '--yes', 'configuration.nix'])).toEqual({
    code: 0,
    stdout: '',
    stderr: 'Nothing to undo: no known run changed /etc/nixos/configuration.nix.\n'
  })
  expect(existsSync(join(place.top, 'state/runs'))).toBe(false)
})

/** A PATH that has only node. */
function withoutNix(place: Place): Record<string, string> {
  const folder = join(place.top, 'bin')
  mkdirSync(folder)
  symlinkSync(process.execPath, join(folder, 'node'))
  return { PATH: folder }
}

test.concurrent('--parse-check=require refuses if Nix is not installed', async () => {
  const place = makeExample()
  const env = withoutNix(place)
  const call = ['diff', 'configuration.nix', ...FLAGS]
  const patch = CHANGE + patchOfModules()
  const shown = (why: string) => ({
    code: 1,
    stdout: patch,
    stderr: `${HEADLINE}Checked: parses (built-in parser only; ${why}).\n`
  })
  expect(await place.run(call, { env })).toEqual(shown('nix-instantiate was not found'))
  expect(await place.run([...call, '--parse-check=off'])).toEqual(shown('switched off'))
  await expectRefusal(
    place,
    ['apply', '--yes', ...call.slice(1), '--parse-check=require'],
    {
      code: 6,
      stderr: text`
        vfio-patch: the result could not be checked with Nix: nix-instantiate was not found. Nothing was written.
          Do:  install Nix on this machine, or omit --parse-check
        `
    },
    { env }
  )
})

needing('nix-instantiate')('--parse-check=require accepts if Nix is installed', async () => {
  const place = makeExample()
  expect(
    await place.run(['diff', 'configuration.nix', ...FLAGS, '--parse-check=require', '-q'])
  ).toEqual({
    code: 1,
    stdout: '',
    stderr: ''
  })
})

test.concurrent.each([
  [
    'the first line of the patch',
    '{ "$@"; echo $? >code; } | head -1',
    '--- a/configuration.nix\n',
    true
  ],
  ['the first line of all output', '{ "$@" 2>&1; echo $? >code; } | head -1', HEADLINE, false],
  ['nothing', '{ "$@" 2>&1; echo $? >code; } | true', '', false]
])('diff exits with 1 if the reader reads only %s', async (_, script, stdout, hasErrors) => {
  const place = makeExample()
  const stderr = hasErrors ? `${HEADLINE}${CHECKED}\n` : ''
  expect(await place.run(DIFF, { script })).toEqual({ code: 0, stdout, stderr })
  expect(place.read('code')).toBe('1\n')
})

test.concurrent('diff exits with 4 if its output is lost', async () => {
  const place = makeExample()
  expect(await place.run(DIFF, { script: '"$@" >/dev/full' })).toEqual({
    code: 4,
    stdout: '',
    stderr:
      HEADLINE +
      `${CHECKED}\n` +
      text`
        vfio-patch: the output could not be written (ENOSPC).
          Do:  check whether the output device has space left
        `
  })
  expect((await place.run(DIFF, { script: '"$@" >&-' })).code).toBe(1)
})

test.concurrent('apply refuses to write a configuration that changed meanwhile', async () => {
  const place = makeExample()
  // nix-instantiate runs after the plan is made and before anything is written. This one edits the file.
  place.write(
    'bin/nix-instantiate',
    '#!/bin/sh\ncat >/dev/null\necho "# mine" >configuration.nix\n'
  )
  chmodSync(join(place.nixos, 'bin/nix-instantiate'), 0o755)
  const env = { PATH: `${join(place.nixos, 'bin')}:${place.env.PATH}` }
  expect(await place.run(['apply', '-qy', 'configuration.nix', ...FLAGS], { env })).toEqual({
    code: 5,
    stdout: '',
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix changed while you were deciding. Nothing was written.
        Do:  run vfio-patch apply again to see the new diff
      `
  })
  expect(place.read('configuration.nix')).toBe('# mine\n')
  expect(readdirSync(place.nixos)).toEqual([
    'bin',
    'configuration.nix',
    'hardware-configuration.nix'
  ])
})

test.concurrent('diff uses $NIXOS_CONFIG, and configuration.nix of a folder', async () => {
  const place = makePlace({ 'pc/configuration.nix': '{ ... }: { }\n' })
  const call = ['diff', '--iommu', 'amd', '--parse-check=off']
  const shown = '/etc/nixos/pc/configuration.nix: 1 change; vfio/: 12 new files\n'
  const env = { NIXOS_CONFIG: join(place.nixos, 'pc') }
  expect((await place.run(call, { env })).stderr).toContain(shown)
  expect((await place.run([...call, 'pc'])).stderr).toContain(shown)
})
