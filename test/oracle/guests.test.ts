import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { configExpression, describeWithOracle, evalNix, type Oracle } from './evalModules.ts'
import { guestService, machines, oneCard, vfioModules, withNixos, withOneCard } from './machines.ts'
import { expectCleanShell, runScript } from './shell.ts'

/** The text of the hook that the modules build for a user's module. */
function hookOf(oracle: Oracle, config: string): string {
  const modules = [withNixos(''), vfioModules, oneCard, `{ ${config} }`]
  const view = 'config: config.virtualisation.libvirtd.hooks.qemu.vfio-guests.text'
  const result = evalNix(configExpression(oracle, view, { modules }))
  if (!result.ok) throw new Error(result.error)
  return String(result.value)
}

describeWithOracle('virtualisation.vfio.guests', oracle => {
  const { adds, leaves, refuses } = machines(oracle)
  const store = (name: string) => `/nix/store/00000000000000000000000000000000-${name}`
  const path = ['coreutils', 'kmod', 'systemd'].map(it => `${store(it)}/bin`).join(':')

  adds(
    'guests run commands when they start and stop, in a subshell for each step',
    `virtualisation.vfio.guests."my windows" = {
       prepare = "systemctl stop display-manager.service";
       release = "systemctl start display-manager.service";
     };
     virtualisation.vfio.guests.quiet = { };`,
    {
      ...withOneCard,
      services: guestService({ undefined: ['my windows', 'quiet'] }),
      libvirtd: {
        ...withOneCard.libvirtd,
        hooks: {
          'vfio-guests': `export PATH=${path}:$PATH

case "$1" in
'my windows')
case "$2/$3" in
prepare/begin)
(
set -e
systemctl stop display-manager.service
)
;;
release/end)
(
systemctl start display-manager.service
) || true
;;
esac
;;
esac
`
        }
      }
    }
  )
  adds('guests without commands have no hook', 'virtualisation.vfio.guests.win10 = { };', {
    ...withOneCard,
    services: guestService({ undefined: ['win10'] })
  })
  leaves('guests change nothing while vfio is off', 'virtualisation.libvirtd.enable = true;')
  refuses(
    'hostCPUs rejects an invalid CPU list',
    'virtualisation.vfio = { enable = true; guests.win10.hostCPUs = "0..3"; };',
    "is not of type `null or list of CPUs, such as 0-3,8-11'"
  )

  describe('the hook, run by bash with a fake systemctl', () => {
    const root = mkdtempSync(join(tmpdir(), 'vfio-hooks-'))
    afterAll(() => rmSync(root, { recursive: true }))
    const script = hookOf(
      oracle,
      `virtualisation.vfio.guests = {
         win10 = { hostCPUs = "0-3"; prepare = "echo prepare"; release = "false\necho release"; };
         win11 = { hostCPUs = "0-1"; started = "exit 3"; stopped = "false"; };
         broken = { hostCPUs = "0"; prepare = "false\necho never"; };
       };`
    )

    /** A host with eight CPUs. */
    const makeHost = () => {
      const host = mkdtempSync(join(root, 'host-'))
      const bin = join(host, 'bin')
      mkdirSync(bin)
      writeFileSync(join(host, 'online'), '0-7\n')
      writeFileSync(
        join(bin, 'systemctl'),
        `#!/bin/sh\n[ ! -e ${host}/broken ] || exit 1\necho "$4 $5" >> ${host}/asked\n`
      )
      chmodSync(join(bin, 'systemctl'), 0o755)
      const here = script
        .replace(/^export PATH=.*$/m, `export PATH=${bin}:$PATH`)
        .replaceAll('/run/vfio-guests', join(host, 'run'))
        .replaceAll('/sys/devices/system/cpu/online', join(host, 'online'))
      return {
        call: (...words: string[]) => {
          const { status, stdout } = runScript(here, words)
          return { status, stdout }
        },
        asked: () => {
          const lines = readFileSync(join(host, 'asked'), 'utf8').trim().split('\n')
          return lines.filter(it => it.startsWith('user.slice ')).map(it => it.slice(11))
        },
        breakSystemd: () => writeFileSync(join(host, 'broken'), '')
      }
    }

    it('the hook passes shellcheck', () => expectCleanShell(script, 'bash'))

    it('limits the CPUs of the host while a guest runs', () => {
      const host = makeHost()
      expect(host.call('win10', 'prepare', 'begin')).toEqual({ status: 0, stdout: 'prepare\n' })
      expect(host.call('win10', 'release', 'end')).toEqual({ status: 0, stdout: 'release\n' })
      expect(host.asked()).toEqual(['AllowedCPUs=0-3', 'AllowedCPUs=0-7'])
    })

    it('limits the host to the CPUs for the guest that still runs', () => {
      const host = makeHost()
      host.call('win10', 'prepare', 'begin')
      host.call('win11', 'prepare', 'begin')
      host.call('win10', 'release', 'end')
      host.call('win11', 'release', 'end')
      expect(host.asked().map(it => it.split('=')[1])).toEqual(['0-3', '0-1', '0-1', '0-7'])
    })

    it('keeps a guest from starting if `prepare` fails, and gives the host its CPUs back', () => {
      const host = makeHost()
      expect(host.call('broken', 'prepare', 'begin')).toEqual({ status: 1, stdout: '' })
      expect(host.asked()).toEqual(['AllowedCPUs=0', 'AllowedCPUs=0-7'])
    })

    it("keeps a guest from starting if the CPUs of the host can't be limited", () => {
      const host = makeHost()
      host.breakSystemd()
      expect(host.call('win10', 'prepare', 'begin')).toEqual({ status: 1, stdout: '' })
    })

    it('ignores a failure of `started` and `stopped`', () => {
      const host = makeHost()
      expect(host.call('win11', 'started', 'begin')).toEqual({ status: 0, stdout: '' })
      expect(host.call('win11', 'stopped', 'end')).toEqual({ status: 0, stdout: '' })
    })

    it('the hook does nothing for other guests and operations', () => {
      const host = makeHost()
      expect(host.call('debian', 'prepare', 'begin')).toEqual({ status: 0, stdout: '' })
      expect(host.call('win10', 'reconnect', 'begin')).toEqual({ status: 0, stdout: '' })
    })
  })
})
