import { expect, test } from 'vitest'
import { makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const FILE = '/etc/nixos/configuration.nix'
const CONFIGURATION = text`
  { ... }:
  {
    boot.kernelParams = [ "quiet" "amd_iommu=pt" "vfio-pci.ids=10de:1b80" ];
  }
  `
const APPLY = ['apply', '-y', 'configuration.nix', '--iommu', 'amd', '--parse-check=off']

test.concurrent('apply replaces values from old guides, and lists each with its reason', async () => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  const { code, stderr } = await place.run(APPLY)
  expect({ code, stderr: stderr.split('\n').slice(0, 4) }).toEqual({
    code: 0,
    stderr: [
      `${FILE}: 3 changes; vfio/: 12 new files`,
      'Replaces configuration.nix:3: AMD_IOMMU_PT, the kernel parameter amd_iommu does not accept the value pt.',
      'Replaces configuration.nix:3: IDS_MOVED, boot.kernelParams lists IDs for vfio-pci; vfio-patch writes its own list, and only one takes effect.',
      'Checked: parses (built-in parser only; switched off).'
    ]
  })
  expect(place.read('configuration.nix')).toBe(text`
    { ... }:
    {
      imports = [ ./vfio ];

      boot.kernelParams = [ "quiet" "iommu=pt" ];

      virtualisation.vfio = {
        enable = true;
        IOMMUType = "amd";
        devices = [
          "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
        ];
      };
    }
    `)
  expect(await place.run(APPLY)).toEqual({
    code: 0,
    stdout: '',
    stderr: `Nothing to do: ${FILE} is already up to date.\n`
  })
})

test.concurrent('apply --keep-obsolete keeps values from old guides', async () => {
  const place = makePlace({ 'configuration.nix': CONFIGURATION })
  expect((await place.run([...APPLY, '-q', '--keep-obsolete'])).code).toBe(0)
  expect(place.read('configuration.nix')).toContain(
    '[ "quiet" "amd_iommu=pt" "vfio-pci.ids=10de:1b80" ]'
  )
})
