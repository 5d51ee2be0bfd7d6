// IDs that are already in kernel parameters. The modules of vfio-patch certainly bind their devices, so the devices
// are checked like those that flags name.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { folderOf, textsOf } from '../machine/support/machines.ts'
import { installedModules } from './support/modules.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const FILE = '/etc/nixos/configuration.nix'
const HEADLINE = `${FILE}: 3 changes; vfio/: ${Object.keys(installedModules()).length} new files`
const MOVED =
  'Replaces configuration.nix:3: IDS_MOVED, boot.kernelParams lists IDs for vfio-pci; vfio-patch writes its own list, and only one takes effect.'
const CHECKED = 'Checked: parses (built-in parser only; switched off).'

const withIDs = (ids: string) => text`
  { ... }:
  {
    boot.kernelParams = [ "quiet" "vfio-pci.ids=${ids}" ];
  }
  `

function call(machine: string, ...more: string[]): string[] {
  const flags = ['--sysfs', folderOf(machine), '--ignore-msrs', '--parse-check=off']
  return ['apply', 'configuration.nix', '-y', ...flags, ...more]
}

/** The options that the IDs become, and what is printed before anything is written. */
async function moved(machine: string, ids: string, ...more: string[]) {
  const place = makePlace({ 'configuration.nix': withIDs(ids) })
  const { code, stderr } = await place.run(call(machine, ...more))
  const lines = stderr.split('\n')
  const configuration = place.read('configuration.nix')
  const left = '  boot.kernelParams = [ "quiet" ];\n'
  return {
    code,
    options: configuration.split(`${left}\n  virtualisation.vfio = {\n`)[1]?.split('  };\n')[0],
    notes: lines.slice(0, lines.indexOf(CHECKED))
  }
}

test.concurrent('apply moves IDs from kernel parameters and notes an ID that the machine does not have', async ({
  expect
}) => {
  expect(await moved('x570-two-makers', '10de:1b80,10de:10f0,10de:ffff')).toEqual({
    code: 0,
    options: text`
          enable = true;
          ignoreMSRs = true;
          devices = [
            "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
            "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
            "10de:ffff"
          ];
      `,
    notes: [HEADLINE, MOVED, 'Note: this machine has no 10de:ffff at the moment.']
  })
})

test.concurrent('apply turns an ID into an address if a device of the host has the same ID', async ({
  expect
}) => {
  expect(await moved('shared-audio-id', '1002:73bf,1002:ab28')).toEqual({
    code: 0,
    options: text`
          enable = true;
          ignoreMSRs = true;
          devices = [
            "1002:73bf" # AMD Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]
          ];
          addresses = [ { address = "0000:03:00.1"; id = "1002:ab28"; } ];
      `,
    notes: [
      HEADLINE,
      MOVED,
      'Selected by address: 0000:0c:00.1 (audio) of the host has the same ID.'
    ]
  })
})

test.concurrent('apply refuses earlier IDs of the only card, also with --keep-obsolete', async () => {
  const place = makePlace({ 'configuration.nix': withIDs('10de:1b80,10de:10f0') })
  const refusal = {
    code: 7,
    stderr: text`
      vfio-patch: 0000:0a:00.0 NVIDIA GP104 [GeForce GTX 1080] is the only card that the host has for its display output. Nothing was written.
        Why: after the next boot the host would have no display output.
             The device is already assigned to vfio-pci in configuration.nix:3. vfio-pci is not bound to the device now, but with vfio-patch's modules it will be from the next boot on.
        Do:  let the host use it until a guest starts: add --bind hooks;
             or use a separate boot entry: add --specialisation vfio;
             or remove the device's ID from configuration.nix:3
      `
  }
  await expectRefusal(place, call('single-gpu'), refusal)
  await expectRefusal(place, call('single-gpu', '--keep-obsolete'), refusal)
})

test.concurrent('apply refuses earlier IDs of the card that shows the screen unless it is confirmed', async ({
  expect
}) => {
  const ids = '1002:6985,1002:aae0'
  const place = makePlace({ 'configuration.nix': withIDs(ids) })
  const { code, stderr } = await place.run(call('x570-two-makers'))
  expect({ code, what: stderr.split('\n')[0] }).toEqual({
    code: 7,
    what: 'vfio-patch: 0000:0a:00.0 is the card that shows this screen. After the next boot the screen would stay dark. Nothing was written.'
  })
  const confirmed = await moved('x570-two-makers', ids, '--confirm', '0a:00.0')
  expect(confirmed.code).toBe(0)
})

test.concurrent('apply moves earlier IDs of the only card if vfio-pci already has it', async ({
  expect
}) => {
  const place = makePlace({ 'configuration.nix': withIDs('10de:1b80,10de:10f0') })
  const dump = join(place.top, 'dump')
  for (const [name, content] of textsOf('single-gpu')) {
    const bound = content.replace(
      /(0000:0a:00\.[01]\/driver)( -> .*\/)(?:nvidia|snd_hda_intel)$/gm,
      '$1$2vfio-pci'
    )
    mkdirSync(dump, { recursive: true })
    writeFileSync(join(dump, name), bound)
  }
  const flags = ['--sysfs', dump, '--ignore-msrs', '--parse-check=off']
  const { code, stderr } = await place.run(['apply', 'configuration.nix', '-y', ...flags])
  const lines = stderr.split('\n')
  expect({ code, notes: lines.slice(0, lines.indexOf(CHECKED)) }).toEqual({
    code: 0,
    notes: [
      HEADLINE,
      MOVED,
      'Note: vfio-pci already has 0000:0a:00.0 and 0000:0a:00.1, so the host loses no device that it has now.'
    ]
  })
})

test.concurrent('apply has no note if it moves IDs of a card that vfio-pci already has', async ({
  expect
}) => {
  expect(await moved('already-bound', '10de:1b80,10de:10f0')).toEqual({
    code: 0,
    options: text`
          enable = true;
          ignoreMSRs = true;
          devices = [
            "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
            "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
          ];
      `,
    notes: [HEADLINE, MOVED]
  })
})

test.concurrent('apply replaces earlier IDs with those of --device, and checks only the new ones', async ({
  expect
}) => {
  const { code, options } = await moved('x570-two-makers', '1002:6985', '--device', '10de:1b80')
  expect({ code, options }).toEqual({
    code: 0,
    options: text`
          enable = true;
          devices = [
            "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
          ];
          ignoreMSRs = true;
      `
  })
})
