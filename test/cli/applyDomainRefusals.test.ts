// `apply --domain`: guests that do not fit the machine, and guests that are refused.

import { hostname } from 'node:os'
import { test } from 'vitest'
import { guestXml } from '../guests/support/guests.ts'
import { folderOf } from '../machine/support/machines.ts'
import {
  APPLY,
  call,
  DIFF,
  device,
  given,
  MACHINE,
  notesIn,
  PLAIN,
  planned,
  small
} from './support/guest.ts'
import { expectRefusal, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const NOTHING = 'Nothing to do: /etc/nixos/configuration.nix is already up to date.\n'
const ENABLED = '  virtualisation.vfio = {\n    enable = true;\n  };\n'

// ---- guests that do not fit the machine

test.concurrent('apply --domain refuses the card that shows the screen unless it is confirmed', async ({
  expect
}) => {
  const place = given(small(`<devices>${device('0x0a')}${device('0x0a', '0', '1')}</devices>`))
  await expectRefusal(place, call('apply', ...MACHINE), {
    code: 7,
    stderr: text`
      vfio-patch: 0000:0a:00.0 is the card that shows this screen. After the next boot the screen would stay dark. Nothing was written.
        Why: no monitor is plugged into 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080], which the host would keep.
             win10.xml assigns it to small.
        Do:  plug your monitor into a card that the host keeps, choose another card: vfio-patch scan,
             use a separate boot entry (add --specialisation vfio),
             or confirm with: vfio-patch apply configuration.nix --domain win10.xml ${MACHINE.join(' ')} --confirm 0000:0a:00.0;
             or change the addresses in win10.xml, if that file is from another machine
      `
  })
  expect((await place.run([...APPLY, '--confirm', '0a:00.0'])).code).toBe(0)
  // The card is already passed through, so it needs no second confirmation.
  expect((await place.run(APPLY)).stderr).toBe(NOTHING)
})

test.concurrent('diff --domain refuses a disk of the host, also in a separate boot entry', async () => {
  const address = "<address domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>"
  const source = `<source type='pci' managed='yes' namespace='1'>${address}</source>`
  const disk = `<disk type='nvme' device='disk'>${source}<target dev='vda' bus='virtio'/></disk>`
  await expectRefusal(
    given(small(`<devices>${disk}</devices>`)),
    [...DIFF, '--specialisation', 'vfio'],
    {
      code: 7,
      stderr: text`
        vfio-patch: this system uses a disk attached to 0000:04:00.0 Samsung Electronics Co Ltd NVMe SSD Controller SM981/PM981/PM983: / and /boot. Nothing was written.
          Why: after the next boot vfio-pci would have the device, and the host would not find its files.
               win10.xml assigns it to small.
          Do:  do not pass 0000:04:00.0 through; choose another card: vfio-patch scan;
               or change the addresses in win10.xml, if that file is from another machine
        `
    }
  )
})

test.concurrent('apply --domain passes the whole card through, and notes the functions that the guest lacks', async ({
  expect
}) => {
  const { notes } = await planned(small(`<devices>${device('0x01')}</devices>`))
  expect(notes.slice(1)).toEqual([
    'Card: 0000:01:00.0 NVIDIA GP104 [GeForce GTX 1080], with 0000:01:00.1 (audio): a guest gets the whole card.',
    'IOMMU type: amd (detected from the CPU).',
    'Selected by PCI ID: no other device on this host has it.',
    "Note: small gets 0000:01:00.0, but not 0000:01:00.1 (audio) of the same card, which the host can't use either. Add a <hostdev> for each function that small should have."
  ])
})

test.concurrent('apply --domain selects one of two identical cards by address', async ({
  expect
}) => {
  const place = given(small(`<devices>${device('0x0a')}${device('0x0a', '0', '1')}</devices>`))
  const words = call('apply', '--sysfs', folderOf('two-identical'), '--yes')
  expect((await place.run(words)).code).toBe(0)
  expect(place.read('configuration.nix')).toContain(
    `    addresses = [
      { address = "0000:0a:00.0"; id = "10de:2484"; } # NVIDIA GA104 [GeForce RTX 3070]
      { address = "0000:0a:00.1"; id = "10de:228b"; } # NVIDIA GA104 High Definition Audio Controller
    ];
`
  )
  expect((await place.run(words)).stderr).toBe(NOTHING)
})

test.concurrent('apply --domain notes a bridge that cannot be passed through', async ({
  expect
}) => {
  const { notes, options } = await planned(
    small(`<devices>${device('0x00', '0x14', '0x3')}</devices>`)
  )
  expect(notes.slice(1)).toEqual([
    'Note: small needs 0000:00:14.3 (bridge), which can\'t be passed through; win10.xml seems to be from another machine. "vfio-patch scan" lists the devices.'
  ])
  expect(options).toBe(ENABLED)
})

test.concurrent('diff --domain does not read the machine if the configuration is for another machine', async ({
  expect
}) => {
  const configuration = `{\n  networking.hostName = "not-${hostname()}";\n}\n`
  const { code, stderr } = await given(guestXml('seed-win10'), configuration).run(call('diff'))
  expect(code).toBe(1)
  expect(notesIn(stderr).filter(it => it.startsWith('Note:'))).toEqual([
    'Note: 0000:01:00.0 and 0000:01:00.1 of win10 are not set up, because the configuration is for another machine. Run this on that machine; or save a dump there with "vfio-patch scan --dump DIR", and add --sysfs DIR.',
    'Note: win10 is pinned to the processors 2-7,10-15. To keep the host off these processors while win10 runs, set virtualisation.vfio.guests.win10.hostCPUs to those that the host keeps.',
    'Note: win10.xml:76: /dev/disk/by-id/ata-Samsung_SSD_860_EVO_1TB_S3Z8NB0K123456A, a disk of win10, was not checked: the configuration is for another machine. Run this on that machine; or save a dump there with "vfio-patch scan --dump DIR", and add --sysfs DIR.',
    'Note: looking-glass and scream belong to root, so nobody else can open them. Name the user who views the guest: --user NAME.'
  ])
})

test.concurrent.for([
  [
    'pinning to processors that the machine does not have',
    "<vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='15'/><vcpupin vcpu='1' cpuset='16-17'/></cputune>",
    "small is pinned to the processors 16-17, but this machine has only 0-15. The guest can't start: change <cputune> and <vcpu> in win10.xml."
  ],
  [
    'pinning to all processors',
    "<vcpu>1</vcpu><cputune><vcpupin vcpu='0' cpuset='0-15'/></cputune>",
    'small is pinned to all processors, so the host has none for itself. Leave the host one or two if it gets slow.'
  ],
  [
    'more memory than the machine has',
    "<memory unit='GiB'>64</memory>",
    'small needs 64 GiB of memory, but this machine has 31.3 GiB. Make <memory> smaller.'
  ],
  [
    'huge pages that leave the host too little memory',
    "<memory unit='GiB'>30</memory><memoryBacking><hugepages/></memoryBacking>",
    'no huge pages are reserved for small: 15360 huge pages of 2M would leave the host less than 4 GiB of 31.3 GiB. Make <memory> smaller, or remove <hugepages>; or add --hugepages 2M:15360 to reserve them anyway.'
  ],
  [
    'huge pages of an unsupported size',
    "<memory unit='GiB'>8</memory><memoryBacking><hugepages><page size='64' unit='KiB'/></hugepages></memoryBacking>",
    'no huge pages are reserved for small: x86 has no pages of that size, only 2M and 1G. Change <hugepages> in win10.xml, or add --hugepages.'
  ],
  [
    'a libvirt network',
    "<devices><interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan'/></interface></devices>",
    "small needs libvirt's network lan. Check that it is defined and started: virsh net-list --all"
  ],
  [
    'a network bridge that does not exist',
    "<devices><interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface></devices>",
    'small needs the bridge br0, which no option declares and this machine does not have. Declare it, e.g. networking.bridges.br0.interfaces = [ "enp5s0" ];, or use the network "default".'
  ],
  [
    'kvmfr devices that cannot be created',
    "<qemu:commandline><qemu:arg value='-object'/><qemu:arg value='memory-backend-file,id=a,mem-path=/dev/kvmfr1,size=64M'/></qemu:commandline>",
    'the kvmfr devices are not set up: the first one has to be /dev/kvmfr0, and each needs a size in MiB that is a power of two. Change them in win10.xml.'
  ],
  [
    'a device that is passed by a QEMU argument',
    "<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='vfio-pci,host=41:00.0'/></qemu:commandline>",
    'small gets 0000:41:00.0 by a <qemu:arg>, so libvirt does not prepare the device. Use a <hostdev> instead.'
  ]
] as const)('apply --domain notes %s', async ([_, inner, note], { expect }) => {
  const { notes, options } = await planned(small(inner))
  expect(notes).toContain(`Note: ${note}`)
  expect(options).toBe(ENABLED)
})

test.concurrent('diff --domain has no note about a bridge that an option declares', async ({
  expect
}) => {
  const card =
    "<devices><interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface></devices>"
  const declared = '{\n  networking.bridges.br0.interfaces = [ "enp6s0" ];\n}\n'
  const { stderr } = await given(small(card), declared).run(DIFF)
  expect(notesIn(stderr)).toEqual(['Guest: small; you may edit its file.'])
})

test.concurrent('apply --domain reserves more huge pages only if the configuration has too few', async ({
  expect
}) => {
  const guest = small("<memory unit='GiB'>8</memory><memoryBacking><hugepages/></memoryBacking>")
  const pages = (count: number, size = '2M') =>
    `{\n  virtualisation.hugepages = {\n    enable = true;\n    defaultPageSize = "${size}";\n    numPages = ${count};\n  };\n}\n`
  const after = async (configuration: string) => {
    const place = given(guest, configuration)
    const { stderr } = await place.run(APPLY)
    const notes = notesIn(stderr).filter(it => it.startsWith('Note'))
    return [/numPages = (\d+)/.exec(place.read('configuration.nix'))?.[1], ...notes]
  }
  expect(await after(PLAIN)).toEqual(['4096'])
  expect(await after(pages(5000))).toEqual(['5000'])
  expect(await after(pages(16))).toEqual(['4096'])
  expect(await after(pages(8, '1G'))).toEqual(['8'])
  expect(await after('{\n  boot.kernelParams = [ "hugepages=16" ];\n}\n')).toEqual([
    undefined,
    'Note: small needs 4096 huge pages of 2M, but the configuration reserves huge pages with other options. Check that it reserves enough.'
  ])
})

// ---- guests that are refused

test.concurrent.each([
  [
    'a password in the XML',
    small("<devices>\n    <graphics type='vnc' passwd='hunter2'/>\n  </devices>"),
    text`
      win10.xml:6: the domain contains a password. Nothing was written.
        Why: a configuration is copied to the Nix store, which everybody on this machine can read.
        Do:  remove it from win10.xml; a display that only listens on 127.0.0.1 needs no password
      `
  ],
  [
    'a guest without a name',
    "<domain type='kvm'/>",
    text`
      win10.xml: the domain has no <name>. Nothing was written.
        Why: libvirt identifies guests by their names.
        Do:  give it a <name>, such as win10
      `
  ],
  [
    'a name that is a number',
    small('', '10'),
    text`
      win10.xml: "10" is not a valid name for a guest. Nothing was written.
        Why: a valid name has no slash, does not begin with a dot, and is not a number or a UUID.
        Do:  give it another <name>, such as win10
      `
  ],
  [
    'a name that virsh reads as a number',
    small('', '+1'),
    text`
      win10.xml: "+1" is not a valid name for a guest. Nothing was written.
        Why: a valid name has no slash, does not begin with a dot, and is not a number or a UUID.
        Do:  give it another <name>, such as win10
      `
  ],
  [
    'a guest for another hypervisor',
    "<domain type='xen'><name>a</name></domain>",
    text`
      win10.xml is a guest for xen, but libvirt on NixOS runs guests with QEMU. Nothing was written.
        Do:  a guest for QEMU begins with <domain type='kvm'>
      `
  ],
  [
    'invalid XML',
    '<domain><name>a</domain>',
    text`
      win10.xml:1:16: </domain> does not match <name>.
          1 | <domain><name>a</domain>
                             ^^^^^^^^^
        Do:  close <name> of line 1 first: </name>
      `
  ]
])('diff --domain refuses %s', async (_, guest, message) => {
  await expectRefusal(given(guest), DIFF, { code: 3, stderr: `vfio-patch: ${message}` })
})

test.concurrent('diff --domain refuses a file that does not exist', async () => {
  await expectRefusal(makePlace({ 'configuration.nix': PLAIN }), DIFF, {
    code: 4,
    stderr: text`
      vfio-patch: /etc/nixos/win10.xml does not exist.
        Do:  create it: virsh dumpxml --inactive NAME > NAME.xml
      `
  })
})

test.concurrent('diff --domain refuses standard input', async () => {
  const place = makePlace({ 'configuration.nix': PLAIN })
  await expectRefusal(place, ['diff', 'configuration.nix', '--domain', '-'], {
    code: 2,
    stderr: text`
      vfio-patch: --domain needs a value, got "-".
        Do:  write it to a file first: virsh dumpxml --inactive win10 > win10.xml
      `
  })
})

test.concurrent('diff --domain refuses a guest with the UUID of another guest', async () => {
  const place = makePlace({ 'configuration.nix': PLAIN, 'win10.xml': small('', 'old') })
  await place.run(['apply', 'configuration.nix', '--domain', 'win10.xml', '--yes'])
  place.write('win10.xml', small('', 'new'))
  await expectRefusal(place, DIFF, {
    code: 3,
    stderr: text`
      vfio-patch: /etc/nixos/vfio/guests/old.nix defines another guest with the UUID of new, 8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10. Nothing was written.
        Why: libvirt identifies guests by their UUIDs, so it would treat the two as one guest.
        Do:  if that guest was renamed to new, delete that file, then run this again; otherwise give new another UUID, e.g. from uuidgen
      `
  })
})
