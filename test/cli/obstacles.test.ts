// Files that can't be read or replaced because of their location, kind or permissions.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { installedModules } from './support/modules.ts'
import { AS_NOBODY, needing } from './support/needing.ts'
import { expectRefusal, makePlace, type Place } from './support/place.ts'
import { text } from './support/text.ts'

const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

const CONFIGURATION = '{ ... }:\n{\n  system.stateVersion = "26.05";\n}\n'
const CALL = ['apply', '-qy', 'configuration.nix', '--iommu', 'amd', '--parse-check=off']

function given(): Place {
  return makePlace({ 'configuration.nix': CONFIGURATION })
}

needing('root', 'nobody')('apply refuses a file that only root can read', async () => {
  const place = given()
  chmodSync(join(place.nixos, 'configuration.nix'), 0o600)
  await expectRefusal(
    place,
    CALL,
    {
      code: 4,
      stderr: text`
        vfio-patch: cannot read /etc/nixos/configuration.nix: permission denied.
          Do:  sudo vfio-patch apply -qy configuration.nix --iommu amd --parse-check=off
        `
    },
    { through: AS_NOBODY }
  )
})

needing('root', 'nobody')('apply refuses a folder that only root can write to', async () => {
  const place = given()
  const through = AS_NOBODY
  expect(await place.run(['diff', '-q', ...CALL.slice(2)], { through })).toEqual({
    code: 1,
    stdout: '',
    stderr: ''
  })
  await expectRefusal(
    place,
    CALL,
    {
      code: 4,
      stderr: text`
        vfio-patch: cannot write to /etc/nixos: permission denied. Nothing was written.
          Do:  sudo vfio-patch apply -qy configuration.nix --iommu amd --parse-check=off
               or keep the change as a patch: add --dry-run -o vfio.patch
        `
    },
    { through }
  )
})

test.concurrent('apply refuses a symlink into the Nix store', async () => {
  const place = makePlace()
  const generated = '/nix/store/0000-home-manager-files/configuration.nix'
  symlinkSync(generated, join(place.nixos, 'real.nix'))
  symlinkSync('real.nix', join(place.nixos, 'configuration.nix'))
  await expectRefusal(place, CALL, {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix is a symlink into the Nix store (/etc/nixos/configuration.nix -> /etc/nixos/real.nix -> ${generated}) and cannot be edited.
        Why: it is generated, e.g. by home-manager or environment.etc.
        Do:  find the source file in your repository and pass that file
      `
  })
})

test.concurrent('apply follows any other symlink and keeps it', async () => {
  const place = makePlace({ 'pc/real.nix': CONFIGURATION })
  const link = join(place.nixos, 'configuration.nix')
  symlinkSync('pc/real.nix', link)
  expect(await place.run(CALL)).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(readlinkSync(link)).toBe('pc/real.nix')
  expect(place.read('pc/real.nix')).toContain('imports = [ ./vfio ];')
  expect(place.read('pc/vfio/default.nix')).toContain('./vfio.nix')

  expect((await place.run(['undo', '-q', '--yes', 'configuration.nix'])).code).toBe(0)
  expect(Object.keys(place.files())).toEqual(['pc/real.nix'])
  expect(place.read('pc/real.nix')).toBe(CONFIGURATION)
})

test.concurrent('apply refuses a file with two hard links, and quotes its name', async () => {
  const place = makePlace({ "alice's pc.nix": CONFIGURATION })
  linkSync(join(place.nixos, "alice's pc.nix"), join(place.nixos, 'other.nix'))
  await expectRefusal(place, ['apply', '-q', '--yes', "alice's pc.nix", '--iommu', 'amd'], {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/alice's pc.nix has 2 hard links; replacing it would separate them. Nothing was written.
        Do:  copy it first: cp '/etc/nixos/alice'\\''s pc.nix' '/etc/nixos/alice'\\''s pc.nix.new' && mv '/etc/nixos/alice'\\''s pc.nix.new' '/etc/nixos/alice'\\''s pc.nix'
      `
  })
})

test.concurrent('apply refuses a pipe', async () => {
  const place = makePlace()
  spawnSync('mkfifo', [join(place.nixos, 'configuration.nix')])
  await expectRefusal(place, CALL, {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/configuration.nix is not a regular file.
        Do:  pass a regular file
      `
  })
})

needing('root', 'chattr')(
  'apply refuses an immutable file or folder',
  async ({ onTestFinished }) => {
    const place = given()
    for (const name of ['configuration.nix', '.']) {
      const path = join(place.nixos, name)
      spawnSync('chattr', ['+i', path])
      onTestFinished(() => void spawnSync('chattr', ['-i', path]))
      await expectRefusal(place, CALL, {
        code: 3,
        stderr: text`
        vfio-patch: ${place.plain(path)} is immutable (chattr +i). Nothing was written.
          Do:  sudo chattr -i ${place.plain(path)}, then run this again
        `
      })
      spawnSync('chattr', ['-i', path])
    }
  }
)

test.concurrent('apply refuses a folder that everybody can write to', async () => {
  const place = given()
  chmodSync(place.nixos, 0o777)
  await expectRefusal(place, CALL, {
    code: 3,
    stderr: text`
      vfio-patch: other users can write to the folder /etc/nixos (mode 777). Nothing was written.
        Why: another user could replace files in it while this runs.
        Do:  sudo chmod go-w /etc/nixos
      `
  })
})

needing('root')(
  'apply refuses the folder of another user unless that user called sudo',
  async () => {
    const place = given()
    chownSync(place.nixos, 1234, 100)
    chownSync(join(place.nixos, 'configuration.nix'), 1234, 100)
    await expectRefusal(place, CALL, {
      code: 3,
      stderr: text`
      vfio-patch: the folder /etc/nixos belongs to another user (1234). Nothing was written.
        Why: another user could replace files in it while this runs.
        Do:  log in as that user and run this with sudo, or change the owner: sudo chown root: /etc/nixos
      `
    })
    expect(await place.run(CALL, { env: { SUDO_UID: '1234' } })).toEqual({
      code: 0,
      stdout: '',
      stderr: ''
    })
    const set = ['option', 'set', 'configuration.nix', 'networking.hostName', '"pc"', '--yes']
    expect((await place.run(set, { env: { SUDO_UID: '1234' } })).stderr).toContain(
      '\nNote: /etc/nixos belongs to user 1234, who can change it while this runs.\n'
    )
    const owners = place.snapshot().filter(it => it.includes(' etc/nixos'))
    expect(owners.map(it => it.split(' ')[1])).toEqual(
      Array(4 + Object.keys(installedModules()).length).fill('1234:100')
    )
  }
)

needing('root', 'unshare')('apply refuses a read-only file system', async () => {
  const place = given()
  await expectRefusal(
    place,
    CALL,
    {
      code: 4,
      stderr: text`
        vfio-patch: /etc/nixos is on a read-only file system. Nothing was written.
          Do:  remount it read-write, or keep the change as a patch: add --dry-run -o vfio.patch
        `
    },
    {
      through: ['unshare', '-m'],
      script: 'mount --bind . . && mount -o remount,ro,bind . && cd . && exec "$@"'
    }
  )
})

needing('root', 'unshare')('apply refuses a file that is a mount point', async () => {
  const place = given()
  mkdirSync(join(place.top, 'persist'))
  writeFileSync(join(place.top, 'persist/configuration.nix'), CONFIGURATION)
  await expectRefusal(
    place,
    CALL,
    {
      code: 3,
      stderr: text`
        vfio-patch: /etc/nixos/configuration.nix is a mount point and cannot be replaced safely. Nothing was written.
          Why: the file itself is bind-mounted, e.g. by impermanence.
          Do:  edit the original: vfio-patch apply /persist/configuration.nix
        `
    },
    {
      through: ['unshare', '-m'],
      script: 'mount --bind ../../persist/configuration.nix configuration.nix && exec "$@"'
    }
  )
})

// Only as root: for other users, the locks are in this folder too.
needing('root')('apply refuses a backup folder that is not a folder', async () => {
  const place = given()
  writeFileSync(join(place.top, 'state'), '')
  await expectRefusal(place, CALL, {
    code: 4,
    stderr: text`
      vfio-patch: could not save a backup in /state: /state is not a folder. Nothing was written.
        Do:  check that folder, or repeat with --no-backup --yes
      `
  })
  expect(await place.run([...CALL, '--no-backup'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(Object.keys(place.files())).toContain('vfio/default.nix')
})

test.concurrent('undo refuses an unknown run, a run that changed another file, and a damaged backup', async () => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION, 'other.nix': CONFIGURATION })
  const isRoot = process.getuid?.() === 0
  const sudo = (call: string) =>
    isRoot ? '' : `       or, if it was run with sudo: sudo vfio-patch ${call}\n`
  await expectRefusal(place, ['undo', '--yes', 'configuration.nix'], {
    code: 0,
    stderr: 'Nothing to undo: no known run changed /etc/nixos/configuration.nix.\n'
  })
  await expectRefusal(place, ['undo', '--yes', 'configration.nix'], {
    code: 4,
    stderr:
      text`
        vfio-patch: /etc/nixos/configration.nix does not exist, and no known run changed it.
          Do:  list the runs: ${SUDO}vfio-patch undo --list
        ` + sudo('undo --yes configration.nix')
  })
  await expectRefusal(place, ['undo', '--yes', '--run', '../x'], {
    code: 4,
    stderr:
      text`
        vfio-patch: there is no run ../x.
          Do:  list the runs: ${SUDO}vfio-patch undo --list
        ` + sudo('undo --yes --run ../x')
  })
  expect(await place.run(['undo', '--list'])).toEqual({
    code: 0,
    stdout: '',
    stderr: 'No runs yet.\n'
  })

  await place.run(CALL)
  const [id = ''] = spawnSync('ls', [join(place.top, 'state/runs')], {
    encoding: 'utf8'
  }).stdout.split('\n')
  await expectRefusal(place, ['undo', '--yes', 'other.nix', '--run', id], {
    code: 2,
    stderr: text`
      vfio-patch: run RUN-1 did not change /etc/nixos/other.nix.
        Do:  ${SUDO}vfio-patch undo --run RUN-1
      `
  })
  const name = `${Object.keys(installedModules()).length + 1}.before`
  const copy = join(place.top, 'state/runs', id, name)
  writeFileSync(copy, 'damaged')
  await expectRefusal(place, ['undo', '--yes', 'configuration.nix'], {
    code: 4,
    stderr: text`
      vfio-patch: the backup /state/runs/RUN-1/${name} of run RUN-1 is damaged or missing. Nothing was written.
        Do:  restore the file from a backup of your own
      `
  })
  rmSync(copy)
  renameSync(join(place.nixos, 'other.nix'), copy)
  expect((await place.run(['undo', '--yes', '-q', 'configuration.nix'])).code).toBe(0)
  expect(place.files()).toEqual({ 'configuration.nix': CONFIGURATION })
})
