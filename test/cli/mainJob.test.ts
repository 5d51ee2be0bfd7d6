// The main job: passing a card through on the machine of the example.

import { spawnSync } from 'node:child_process'
import { lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CHANGE, CHECKED, FLAGS } from './support/machine.ts'
import { installedModules, patchOfModules, patchWithoutModules } from './support/modules.ts'
import { needing } from './support/needing.ts'
import { EXAMPLE, expectRefusal, makeExample, makePlace } from './support/place.ts'
import { patch, text } from './support/text.ts'

// Tests that are not about the check with Nix switch it off.
const OFF = '--parse-check=off'

const BEFORE = {
  'configuration.nix': readFileSync(join(EXAMPLE, 'configuration.nix'), 'utf8'),
  'hardware-configuration.nix': readFileSync(join(EXAMPLE, 'hardware-configuration.nix'), 'utf8')
}

/** The files after `apply`, made without vfio-patch. */
const AFTER = {
  ...BEFORE,
  'configuration.nix': BEFORE['configuration.nix']
    .replace('./hardware-configuration.nix\n', './hardware-configuration.nix\n    ./vfio\n')
    .replace(
      'virtualisation.docker.enable = true;\n\n',
      text`
        virtualisation.docker.enable = true;

          virtualisation.vfio = {
            enable = true;
            IOMMUType = "amd";
            devices = [
              "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
              "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
            ];
            blacklistNvidia = true;
            ignoreMSRs = true;
            users = [ "alice" ];
          };

          virtualisation.sharedMemoryFiles = {
            looking-glass = { user = "alice"; group = "kvm"; mode = "0660"; };
            scream = { user = "alice"; group = "kvm"; mode = "0660"; };
          };

        `
    ),
  ...Object.fromEntries(
    Object.entries(installedModules()).map(([name, it]) => [`vfio/${name}`, it])
  )
}

const APPLIED = {
  code: 0,
  stdout: CHANGE + patchOfModules(),
  stderr: text`
    /etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
    ${CHECKED}
    Wrote /etc/nixos/vfio/ (new) and /etc/nixos/configuration.nix.
    Backup: /state/runs/RUN-1   Undo: ${process.getuid?.() === 0 ? 'sudo ' : ''}vfio-patch undo /etc/nixos/configuration.nix
    Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
            If the screen stays dark, choose the previous generation in the boot menu.
    `
}

test.concurrent('diff prints the change as a patch and writes nothing', async () => {
  const place = makeExample()
  const before = place.snapshot()
  expect(await place.run(['diff', 'configuration.nix', ...FLAGS])).toEqual({
    code: 1,
    stdout: CHANGE + patchOfModules(),
    stderr: text`
      /etc/nixos/configuration.nix: 2 changes; vfio/: 12 new files
      ${CHECKED}
      `
  })
  expect(place.snapshot()).toEqual(before)
})

test.concurrent('apply writes the change, and has nothing to do the second time', async () => {
  const place = makeExample()
  expect(await place.run(['apply', '--yes', 'configuration.nix', ...FLAGS])).toEqual(APPLIED)
  expect(place.files()).toEqual(AFTER)

  const done = {
    code: 0,
    stdout: '',
    stderr: 'Nothing to do: /etc/nixos/configuration.nix is already up to date.\n'
  }
  const written = place.snapshot()
  expect(await place.run(['diff', 'configuration.nix', ...FLAGS])).toEqual(done)
  expect(await place.run(['apply', 'configuration.nix', ...FLAGS])).toEqual(done)
  expect(await place.run(['apply', '--yes', 'configuration.nix'])).toEqual(done)
  expect(place.snapshot()).toEqual(written)
})

test.concurrent('apply gives new files the mode of the configuration', async () => {
  const place = makeExample()
  spawnSync('chmod', ['640', join(place.nixos, 'configuration.nix')])
  await place.run(['apply', '-qy', 'configuration.nix', ...FLAGS, OFF])
  const modes = ['configuration.nix', 'vfio', 'vfio/vfio.nix'].map(
    it => lstatSync(join(place.nixos, it)).mode & 0o777
  )
  expect(modes).toEqual([0o640, 0o755, 0o640])
})

needing('git')('git apply accepts the patch of diff, with the same result as apply', async () => {
  const place = makeExample()
  const { stdout } = await place.run(['diff', 'configuration.nix', ...FLAGS, OFF])
  const git = (...args: string[]) =>
    spawnSync('git', args, { cwd: place.nixos, input: stdout, encoding: 'utf8' })
  expect(git('apply', '--check', '-')).toMatchObject({ status: 0, stderr: '' })
  expect(git('apply', '-')).toMatchObject({ status: 0, stderr: '' })
  expect(place.files()).toEqual(AFTER)
  expect(git('apply', '-R', '-')).toMatchObject({ status: 0, stderr: '' })
  expect(place.files()).toEqual(BEFORE)
})

needing('git', 'patch')('git and patch accept CRLF and a file name with a space', async () => {
  const content = BEFORE['configuration.nix'].replaceAll('\n', '\r\n')
  const [place, other] = [makePlace({ 'my pc.nix': content }), makePlace({ 'my pc.nix': content })]
  const { stdout } = await place.run(['diff', 'my pc.nix', ...FLAGS, OFF])
  const check = spawnSync('git', ['apply', '--check', '-'], { cwd: place.nixos, input: stdout })
  expect(check.status).toBe(0)
  spawnSync('patch', ['--binary', '-p1'], { cwd: other.nixos, input: stdout })
  await place.run(['apply', '-qy', 'my pc.nix', ...FLAGS, OFF])
  expect(place.read('my pc.nix')).toBe(AFTER['configuration.nix'].replaceAll('\n', '\r\n'))
  expect(other.files()).toEqual(place.files())
})

needing('patch')('patch -p1 accepts the patch of diff', async () => {
  const place = makeExample()
  const { stdout } = await place.run(['diff', 'configuration.nix', ...FLAGS, OFF])
  const patched = spawnSync('patch', ['-p1'], { cwd: place.nixos, input: stdout })
  expect(patched.status).toBe(0)
  expect(place.files()).toEqual(AFTER)
})

/** The part of the patch of undo that concerns the configuration. */
const CHANGE_BACK = patch`
  --- a/configuration.nix
  +++ b/configuration.nix
  @@ -5,7 +5,6 @@
   {
     imports = [
       ./hardware-configuration.nix
  -    ./vfio
     ];

     boot.loader.systemd-boot.enable = true;
  @@ -56,23 +55,6 @@

     virtualisation.docker.enable = true;

  -  virtualisation.vfio = {
  -    enable = true;
  -    IOMMUType = "amd";
  -    devices = [
  -      "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
  -      "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
  -    ];
  -    blacklistNvidia = true;
  -    ignoreMSRs = true;
  -    users = [ "alice" ];
  -  };
  -
  -  virtualisation.sharedMemoryFiles = {
  -    looking-glass = { user = "alice"; group = "kvm"; mode = "0660"; };
  -    scream = { user = "alice"; group = "kvm"; mode = "0660"; };
  -  };
  -
     # This value determines the NixOS release from which the default settings for stateful data
     # on this machine were taken. Leave it as it is.
     system.stateVersion = "26.05";
  `

test.concurrent('undo restores the exact files from before apply, and undo --redo the files after it', async () => {
  const place = makeExample()
  await place.run(['apply', '-qy', 'configuration.nix', ...FLAGS, OFF])

  const undo = ['undo', '--yes', 'configuration.nix']
  expect(await place.run(undo)).toEqual({
    code: 0,
    stdout: CHANGE_BACK + patchWithoutModules('vfio'),
    stderr: text`
      Run RUN-1 (apply) will be undone:
        /etc/nixos/configuration.nix as it was
        /etc/nixos/vfio/: 12 files are deleted
      Undid run RUN-1.
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.files()).toEqual(BEFORE)
  expect(place.snapshot().some(it => it.endsWith(' etc/nixos/vfio'))).toBe(false)

  expect(await place.run([...undo, '--redo'])).toEqual({
    code: 0,
    stdout: CHANGE + patchOfModules(),
    stderr: text`
      Run RUN-1 (apply) will be redone:
        /etc/nixos/configuration.nix as it was after that run
        /etc/nixos/vfio/: 12 files are restored
      Redid run RUN-1.
      Next:   sudo nixos-rebuild boot -I nixos-config=/etc/nixos/configuration.nix && reboot
      `
  })
  expect(place.files()).toEqual(AFTER)
})

test.concurrent('undo refuses if the configuration was edited after apply', async () => {
  const place = makeExample()
  await place.run(['apply', '-qy', 'configuration.nix', ...FLAGS, OFF])
  writeFileSync(join(place.nixos, 'configuration.nix'), '# mine\n', { flag: 'a' })
  await expectRefusal(place, ['undo', '--yes', 'configuration.nix'], {
    code: 5,
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix was edited after the last apply, so undo would lose those edits. Nothing was written.
        Do:  remove vfio-patch and keep your edits: ${process.getuid?.() === 0 ? 'sudo ' : ''}vfio-patch remove /etc/nixos/configuration.nix
      `
  })
})
