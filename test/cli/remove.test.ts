// remove: removes vfio-patch from a configuration, also after the user edited it.

import { mkdirSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CHANGE, CHECKED, FLAGS, makeInstalled } from './support/machine.ts'
import { installedModules, namesOfModules, patchWithoutModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { onTerminal } from './support/onTerminal.ts'
import { expectRefusal, makeExample, makePlace } from './support/place.ts'
import { patch, text } from './support/text.ts'

const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''
const UNDO = `Undo: ${SUDO}vfio-patch undo /etc/nixos/configuration.nix`

const GIVEN = text`
  { config, ... }:
  {
    imports = [ ./vfio ];

    # mine
    virtualisation.vfio.enable = true;
    networking.hostName = "pc";
  }
  `

const REMAINING = text`
  { config, ... }:
  {
    # mine
    networking.hostName = "pc";
  }
  `

/** The patch that reverts this one. */
function reversed(change: string): string {
  const swapped: Record<string, string> = { '+': '-', '-': '+' }
  return change
    .split('\n')
    .map(it => {
      const hunk = /^@@ -(\S+) \+(\S+) @@$/.exec(it)
      if (hunk) return `@@ -${hunk[2]} +${hunk[1]} @@`
      return /^(?:---|\+\+\+) /.test(it) ? it : it.replace(/^[-+]/, sign => swapped[sign] ?? sign)
    })
    .join('\n')
}

/** The patch that deletes the modules, in the order in which they are deleted. */
function patchOfRemoval(): string {
  const parts = patchWithoutModules('vfio')
    .split(/(?=^--- )/m)
    .sort()
  const isFirst = (it: string) => it.startsWith('--- a/vfio/default.nix')
  return [...parts.filter(isFirst), ...parts.filter(it => !isFirst(it))].join('')
}

test.concurrent('remove reverts apply, and undo reverts remove', async () => {
  const place = makeExample()
  const before = place.files()
  await place.run(['apply', 'configuration.nix', ...FLAGS, '--yes', '-q'])
  const applied = place.files()

  expect(await place.run(['remove', 'configuration.nix', '--yes'])).toEqual({
    code: 0,
    stdout: reversed(CHANGE) + patchOfRemoval(),
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 files removed
      ${CHECKED}
      Wrote /etc/nixos/configuration.nix. Removed the modules in /etc/nixos/vfio/.
      Backup: /state/runs/RUN-2   ${UNDO}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.files()).toEqual(before)
  expect(await place.run(['remove', 'configuration.nix', '--yes'])).toEqual({
    code: 0,
    stdout: '',
    stderr: 'Nothing to do: /etc/nixos/configuration.nix does not use vfio-patch.\n'
  })
  expect((await place.run(['undo', 'configuration.nix', '--yes', '-q'])).code).toBe(0)
  expect(place.files()).toEqual(applied)
  const redo = ['undo', '--redo', 'configuration.nix', '--yes', '-q']
  expect((await place.run(redo)).code).toBe(0)
  expect(place.files()).toEqual(before)
})

test.concurrent('remove writes nothing with --dry-run or without confirmation', async () => {
  const place = makeInstalled(GIVEN)
  const before = place.snapshot()
  const shown = await place.run(['remove', 'configuration.nix', '--dry-run'])
  expect(shown).toEqual({
    code: 1,
    stdout:
      patch`
        --- a/configuration.nix
        +++ b/configuration.nix
        @@ -1,8 +1,5 @@
         { config, ... }:
         {
        -  imports = [ ./vfio ];
        -
           # mine
        -  virtualisation.vfio.enable = true;
           networking.hostName = "pc";
         }
        ` + patchOfRemoval(),
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 files removed
      ${CHECKED}
      `
  })
  const { code, stderr } = await place.run(['remove', 'configuration.nix'])
  expect({ code, asked: stderr.split('\n').at(-3) }).toEqual({
    code: 2,
    asked:
      'vfio-patch: cannot ask for confirmation: standard input is not a terminal. Nothing was written.'
  })
  expect(place.snapshot()).toEqual(before)
})

needing('python3')('remove names the modules and asks on a terminal', async () => {
  const place = makeInstalled(GIVEN)
  const names = namesOfModules('vfio', 'removed').replaceAll(/<.*?>|\n/g, '')
  const { terminal, code } = await onTerminal(
    place,
    ['remove', 'configuration.nix', '--color=never'],
    {
      steps: [{ until: '[y/N] ', send: 'y\n' }]
    }
  )
  expect(code).toBe(0)
  expect(terminal).toBe(text`
    /etc/nixos/configuration.nix: 2 changes; vfio/: 12 files removed
    --- a/configuration.nix
    +++ b/configuration.nix
    @@ -1,8 +1,5 @@
     { config, ... }:
     {
    -  imports = [ ./vfio ];
    -
       # mine
    -  virtualisation.vfio.enable = true;
       networking.hostName = "pc";
     }
    ${names}
    ${CHECKED}
    Write these changes? [y/N] y
    Wrote /etc/nixos/configuration.nix. Removed the modules in /etc/nixos/vfio/.
    Backup: /state/runs/RUN-1   ${UNDO}
    Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
    `)
  expect(place.files()).toEqual({ 'configuration.nix': REMAINING })
})

test.concurrent('remove keeps later edits; undo refuses, and suggests vfio-patch remove', async () => {
  const place = makePlace({ 'configuration.nix': REMAINING })
  await place.run(['apply', 'configuration.nix', '--ignore-msrs', '--yes', '-q'])
  place.write('configuration.nix', place.read('configuration.nix').replace('"pc"', '"tower"'))
  await expectRefusal(place, ['undo', 'configuration.nix', '--yes'], {
    code: 5,
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix was edited after the last apply, so undo would lose those edits. Nothing was written.
        Do:  remove vfio-patch and keep your edits: ${SUDO}vfio-patch remove /etc/nixos/configuration.nix
      `
  })
  expect((await place.run(['remove', 'configuration.nix', '--yes'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': REMAINING.replace('"pc"', '"tower"') })
})

test.concurrent('remove keeps files of guests, which the next apply leaves unchanged', async () => {
  const place = makeInstalled(GIVEN.replace('./vfio ]', './vfio ./vfio/guests/win10.nix ]'))
  const guest = '{\n  virtualisation.vfio.guests.win10.domain = { name = "win10"; };\n}\n'
  place.write('vfio/guests/win10.nix', guest)
  const { code, stderr } = await place.run(['remove', 'configuration.nix', '--yes'])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 files removed
      Kept: vfio/guests/, your guests; libvirt keeps them too
      ${CHECKED}
      Wrote /etc/nixos/configuration.nix. Removed the modules in /etc/nixos/vfio/.
      Backup: /state/runs/RUN-1   ${UNDO}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.files()).toEqual({ 'configuration.nix': REMAINING, 'vfio/guests/win10.nix': guest })

  const again = await place.run(['apply', 'configuration.nix', '--ignore-msrs', '--yes', '-q'])
  expect(again).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(place.read('vfio/guests/win10.nix')).toBe(guest)
})

test.concurrent('remove renames edited modules and keeps other files', async () => {
  const place = makeInstalled(GIVEN)
  const edited = `${place.read('vfio/vfio.nix')}# mine\n`
  place.write('vfio/vfio.nix', edited)
  place.write('vfio/mine.nix', '{ }\n')
  const { code, stderr } = await place.run(['remove', 'configuration.nix', '--yes'])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 files removed, 1 renamed
      Renamed: vfio/vfio.nix, which has local edits, is kept as vfio/vfio.nix.edited
      Kept: vfio/mine.nix, which does not belong to vfio-patch
      ${CHECKED}
      Wrote /etc/nixos/configuration.nix. Removed the modules in /etc/nixos/vfio/.
      Backup: /state/runs/RUN-1   ${UNDO}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.files()).toEqual({
    'configuration.nix': REMAINING,
    'vfio/vfio.nix.edited': edited,
    'vfio/mine.nix': '{ }\n'
  })
  expect((await place.run(['undo', 'configuration.nix', '--yes', '-q'])).code).toBe(0)
  const { 'vfio/mine.nix': _, ...others } = place.files()
  const modules = Object.entries(installedModules()).map(([name, it]) => [`vfio/${name}`, it])
  expect(others).toEqual({
    'configuration.nix': GIVEN,
    ...Object.fromEntries(modules),
    'vfio/vfio.nix': edited
  })
})

test.concurrent('apply works after remove renamed an edited module', async () => {
  const place = makeInstalled(GIVEN)
  place.write('vfio/vfio.nix', `${place.read('vfio/vfio.nix')}# mine\n`)
  await place.run(['remove', 'configuration.nix', '--yes', '-q'])
  expect(
    (await place.run(['apply', 'configuration.nix', '--ignore-msrs', '--yes', '-q'])).code
  ).toBe(0)
  expect(place.read('vfio/vfio.nix')).toBe(installedModules()['vfio.nix'])
})

test.concurrent('remove also edits imported files in the same run', async () => {
  const place = makeInstalled(GIVEN.replace('./vfio', './hosts/pc.nix'))
  const given = place.read('configuration.nix')
  place.write('hosts/pc.nix', '{\n  imports = [ ../vfio ];\n  boot.tmp.useTmpfs = true;\n}\n')
  const { code, stderr } = await place.run(['remove', 'configuration.nix', '--yes'])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      /etc/nixos/configuration.nix: 1 change; hosts/pc.nix: changed; vfio/: 12 files removed
      ${CHECKED}
      Wrote /etc/nixos/hosts/pc.nix and /etc/nixos/configuration.nix. Removed the modules in /etc/nixos/vfio/.
      Backup: /state/runs/RUN-1   ${UNDO}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.files()).toEqual({
    'configuration.nix': given.replace('  virtualisation.vfio.enable = true;\n', ''),
    'hosts/pc.nix': '{\n  boot.tmp.useTmpfs = true;\n}\n'
  })
})

test.concurrent('remove keeps modules that another file imports', async () => {
  const place = makeInstalled(GIVEN)
  place.write('flake.nix', '{ outputs = { self }: { }; }\n')
  place.write('hosts/laptop.nix', '{ imports = [ ../vfio ]; virtualisation.vfio.enable = true; }\n')
  const { code, stderr } = await place.run(['remove', 'configuration.nix', '--yes'])
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes
      Kept: vfio/, because hosts/laptop.nix imports it
      ${CHECKED}
      Wrote /etc/nixos/configuration.nix.
      Backup: /state/runs/RUN-1   ${UNDO}
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.read('configuration.nix')).toBe(REMAINING)
})

test.concurrent('remove refuses if an option of vfio-patch is read elsewhere', async () => {
  const place = makeInstalled(GIVEN.replace('"pc"', 'f config.virtualisation.vfio.users'))
  await expectRefusal(place, ['remove', 'configuration.nix', '--yes'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix:7:27: virtualisation.vfio is read here, and would be removed. Nothing was written.
          7 |   networking.hostName = f config.virtualisation.vfio.users;
                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        Why: only vfio-patch's modules declare this option.
        Do:  replace this with the value of the option, or remove it, then run this again
      `
  })
})

test.concurrent('remove refuses if a file that is not imported sets an option of vfio-patch', async () => {
  const place = makeInstalled(GIVEN)
  place.write('gpu.nix', '{\n  virtualisation.vfio.users = [ "alice" ];\n}\n')
  await expectRefusal(place, ['remove', 'configuration.nix', '--yes'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/gpu.nix:2:3: virtualisation.vfio is set here, and would be removed. Nothing was written.
          2 |   virtualisation.vfio.users = [ "alice" ];
                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        Why: /etc/nixos/configuration.nix does not import this file, so vfio-patch does not edit it; but a system that imports it would no longer evaluate.
        Do:  first: vfio-patch remove /etc/nixos/gpu.nix
             or remove the definition yourself
      `
  })
  // The suggested command works.
  expect((await place.run(['remove', 'gpu.nix', '--yes', '-q'])).code).toBe(0)
  expect((await place.run(['remove', 'configuration.nix', '--yes', '-q'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': REMAINING, 'gpu.nix': '{ }\n' })
})

test.concurrent('remove refuses if an imported file has a syntax error', async () => {
  const place = makeInstalled(GIVEN.replace('./vfio', './vfio ./x.nix'))
  place.write('x.nix', '{\n  virtualisation.vfio = ;\n}\n')
  await expectRefusal(place, ['remove', 'configuration.nix', '--yes'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/x.nix:2:24: a name or a value is missing here. Nothing was written.
          2 |   virtualisation.vfio = ;
                                     ^
        Why: a file that Nix can't parse can't be edited safely.
        Do:  fix it, and check it with: nix-instantiate --parse /etc/nixos/x.nix
      `
  })
})

test.concurrent('remove has nothing to do without an earlier apply', async () => {
  const place = makePlace({ 'configuration.nix': '{ virtualisation.vfio.enable = true; }\n' })
  const stderr = 'Nothing to do: /etc/nixos/configuration.nix does not use vfio-patch.\n'
  expect(await place.run(['remove', 'configuration.nix'])).toEqual({ code: 0, stdout: '', stderr })
  expect(await place.run(['remove', 'configuration.nix', '--yes', '-q'])).toEqual({
    code: 0,
    stdout: '',
    stderr: ''
  })
})

test.concurrent('remove works with --root and another folder for the modules', async () => {
  const place = makePlace({ 'configuration.nix': REMAINING })
  const root = ['--root', place.top]
  await place.run([
    'apply',
    ...root,
    '--modules-dir',
    'modules/vfio',
    '--ignore-msrs',
    '--yes',
    '-q'
  ])
  mkdirSync(join(place.nixos, 'real'))
  renameSync(join(place.nixos, 'modules/vfio'), join(place.nixos, 'real/vfio'))
  symlinkSync('../real/vfio', join(place.nixos, 'modules/vfio'))
  const { code, stderr } = await place.run(['remove', ...root, '--yes'])
  expect({ code, last: stderr.split('\n').at(-2) }).toEqual({
    code: 0,
    last: 'Next:   sudo nixos-install --root '
  })
  expect(place.files()).toEqual({ 'configuration.nix': REMAINING })
})

test.concurrent('remove --json lists the edited and the deleted files', async () => {
  const place = makeInstalled(GIVEN)
  const { code, stdout } = await place.run(['remove', 'configuration.nix', '--json', '--yes'])
  const { command, outcome, files } = JSON.parse(stdout)
  const actions = files.map((it: { path: string; action: string }) => [it.path, it.action])
  expect({ code, command, outcome, actions }).toEqual({
    code: 0,
    command: 'remove',
    outcome: 'written',
    actions: [
      ['/etc/nixos/configuration.nix', 'modify'],
      ['/etc/nixos/vfio/default.nix', 'delete'],
      ['/etc/nixos/vfio/_lib/defineGuests.nix', 'delete'],
      ['/etc/nixos/vfio/_lib/domain.nix', 'delete'],
      ['/etc/nixos/vfio/_lib/domainTables.nix', 'delete'],
      ['/etc/nixos/vfio/binding.nix', 'delete'],
      ['/etc/nixos/vfio/checks.nix', 'delete'],
      ['/etc/nixos/vfio/guestService.nix', 'delete'],
      ['/etc/nixos/vfio/guests.nix', 'delete'],
      ['/etc/nixos/vfio/hooks.nix', 'delete'],
      ['/etc/nixos/vfio/libvirt.nix', 'delete'],
      ['/etc/nixos/vfio/vfio.nix', 'delete'],
      ['/etc/nixos/vfio/virtualisation.nix', 'delete']
    ]
  })
})
