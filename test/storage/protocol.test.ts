import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { compiled } from './support/compile.ts'
import { change } from './support/files.ts'
import { needing } from './support/needing.ts'
import { changingCalls } from './support/sweep.ts'

const folder = compiled()

const journal = [
  'openat nixos/.vfio-patch.journal.new O_CREAT|O_EXCL|O_NOFOLLOW',
  'write nixos/.vfio-patch.journal.new',
  'fsync nixos/.vfio-patch.journal.new',
  'rename nixos/.vfio-patch.journal.new nixos/.vfio-patch.journal',
  'fsync nixos'
]

needing(
  'root',
  'strace',
  'GNU cp'
)(
  'an apply with a new module changes the disk with exactly these calls, in this order',
  async () => {
    const calls = await changingCalls(folder(), {
      state: true,
      given: ({ nixos }) => {
        const configuration = join(nixos, 'configuration.nix')
        writeFileSync(configuration, 'old\n', { mode: 0o644 })
        return [
          { ...change(join(nixos, 'vfio/default.nix'), 'module\n'), ownershipFrom: configuration },
          change(configuration, 'new\n')
        ]
      }
    })
    const run = 'state/runs/20261122-160312-1'
    const module = 'nixos/vfio/.default.nix.vfio-patch.*.tmp'
    const configuration = 'nixos/.configuration.nix.vfio-patch.*.tmp'
    expect(calls).toEqual([
      'mkdir state',
      'fchmod state',
      'fsync .',
      'mkdir state/runs',
      'fchmod state/runs',
      'fsync state',
      'symlink state/.vfio-patch.lock',
      'symlink nixos/.vfio-patch.lock',
      ...journal,

      `mkdir ${run}`,
      `openat ${run}/2.before O_CREAT|O_EXCL|O_NOFOLLOW`,
      `write ${run}/2.before`,
      `fsync ${run}/2.before`,
      `openat ${run}/manifest.json O_CREAT|O_EXCL|O_NOFOLLOW`,
      `write ${run}/manifest.json`,
      `fsync ${run}/manifest.json`,
      `fsync ${run}`,
      'fsync state/runs',

      'mkdir nixos/vfio',
      'fchown nixos/vfio',
      'fchmod nixos/vfio',
      'fsync nixos',
      `openat ${module} O_CREAT|O_EXCL|O_NOFOLLOW`,
      `write ${module}`,
      `fchown ${module}`,
      `fchmod ${module}`,
      `fsync ${module}`,
      `openat ${configuration} O_CREAT|O_EXCL|O_NOFOLLOW`,
      `write ${configuration}`,
      `fchown ${configuration}`,
      `fchmod ${configuration}`,
      `fsync ${configuration}`,

      `rename ${module} nixos/vfio/default.nix`,
      'fsync nixos/vfio',
      `rename ${configuration} nixos/configuration.nix`,
      'fsync nixos',

      `openat ${run}/done O_CREAT|O_EXCL|O_NOFOLLOW`,
      `fsync ${run}/done`,
      `fsync ${run}`,

      'unlink nixos/.vfio-patch.journal',
      'fsync nixos',
      'unlink nixos/.vfio-patch.lock',
      'unlink state/.vfio-patch.lock'
    ])
  }
)

needing(
  'root',
  'strace',
  'GNU cp'
)(
  'a remove that deletes a module changes the disk with exactly these calls, in this order',
  async () => {
    const calls = await changingCalls(folder(), {
      given: ({ nixos }) => {
        const [path, module] = [join(nixos, 'configuration.nix'), join(nixos, 'vfio/default.nix')]
        mkdirSync(join(nixos, 'vfio'))
        for (const each of [path, module]) writeFileSync(each, 'old\n')
        return [change(path, 'new\n'), { ...change(module, null), emptied: [join(nixos, 'vfio')] }]
      }
    })
    const configuration = 'nixos/.configuration.nix.vfio-patch.*.tmp'
    expect(calls).toEqual([
      'symlink nixos/.vfio-patch.lock',
      ...journal,
      'symlink nixos/vfio/.vfio-patch.lock',
      `openat ${configuration} O_CREAT|O_EXCL|O_NOFOLLOW`,
      `write ${configuration}`,
      `fchown ${configuration}`,
      `fchmod ${configuration}`,
      `fsync ${configuration}`,
      `rename ${configuration} nixos/configuration.nix`,
      'fsync nixos',
      'unlink nixos/vfio/default.nix',
      'fsync nixos/vfio',
      'unlink nixos/vfio/.vfio-patch.lock',
      'rmdir nixos/vfio',
      'fsync nixos',
      'unlink nixos/.vfio-patch.journal',
      'fsync nixos',
      'unlink nixos/.vfio-patch.lock'
    ])
  }
)
