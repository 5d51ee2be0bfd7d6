// The host's disks that a domain uses, in every form in which it can name them.

import { expect, test } from 'vitest'
import { type PassedDisk, passedDisks } from '../../src/guests/needs/disks.ts'
import { readXml } from '../../src/guests/xml/readXml.ts'

function nameOf({ name }: PassedDisk): string {
  switch (name.kind) {
    case 'path':
      return name.path
    case 'folder':
      return `folder ${name.path}`
    case 'volume':
      return `volume ${name.pool}/${name.volume}`
    case 'scsi':
      return `scsi ${name.address}`
    case 'usb':
      if ('port' in name) return `usb port ${name.port}`
      return 'vendor' in name
        ? `usb ${name.vendor}:${name.product}`
        : `usb ${name.bus}/${name.device}`
  }
}

/** The disks in a domain with these elements. ` read` marks a read-only disk, ` floppy` one in a floppy drive. */
function disksIn(inner: string): string[] {
  const xmlns = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
  const document = readXml(`<domain type='kvm' ${xmlns}><name>a</name>${inner}</domain>`)
  if (!document.ok) throw new Error(document.error.message)
  return passedDisks(document.value.root).map(
    it => `${nameOf(it)}${it.isReadOnly ? ' read' : ''}${it.isFloppy ? ' floppy' : ''}`
  )
}

const disk = (attributes: string, inner: string) =>
  disksIn(`<devices><disk ${attributes}>${inner}</disk></devices>`)
const args = (...values: string[]) =>
  disksIn(
    `<qemu:commandline>${values.map(it => `<qemu:arg value='${it.replaceAll("'", '&apos;')}'/>`).join('')}</qemu:commandline>`
  )

test.each([
  ["type='block'", "<source dev='/dev/sda'/>", ['/dev/sda']],
  ["type='block' device='lun'", "<source dev='/dev/sda'/>", ['/dev/sda']],
  ["type='file'", "<source file='/dev/sda'/>", ['/dev/sda']],
  ['', "<source file='/var/a.qcow2'/>", ['/var/a.qcow2']],
  ["type='volume'", "<source pool='vg' volume='root'/>", ['volume vg/root']],
  ["type='network'", "<source protocol='nbd' name='/dev/sda'/>", []],
  ["type='nvme'", "<source type='pci' namespace='1'/>", []],
  ["type='block'", "<source dev='/dev/sda'/><readonly/>", ['/dev/sda read']],
  ["type='block'", "<source dev='/dev/sda'/><transient/>", ['/dev/sda read']],
  ["type='block'", "<source dev='/dev/sda'/><shareable/>", ['/dev/sda']],
  ["type='block' device='cdrom'", "<source dev='/dev/sr0'/>", ['/dev/sr0 read']],
  ["type='block' device='floppy'", "<source dev='/dev/sda'/>", ['/dev/sda floppy']],
  ["type='block' device='lun' rawio='yes'", "<source dev='/dev/sda'/><readonly/>", ['/dev/sda']]
])('finds the disk of <disk %s> with %s', (attributes, inner, expected) => {
  expect(disk(attributes, inner)).toEqual(expected)
})

test('finds the backing images, data store and mirror of a disk', () => {
  expect(
    disk(
      "type='file'",
      `<source file='/a.qcow2'><dataStore type='block'><source dev='/dev/sda'/></dataStore></source>
       <backingStore type='file'>
         <source file='/b.qcow2'/>
         <backingStore type='block'><source dev='/dev/sdb'/><backingStore/></backingStore>
       </backingStore>
       <mirror type='block' job='copy'><source dev='/dev/sdc'/></mirror>`
    )
  ).toEqual(['/a.qcow2', '/dev/sda', '/b.qcow2', '/dev/sdb', '/dev/sdc'])
})

test.each([
  ["mode='capabilities' type='storage'", '<block>/dev/sdf1</block>', ['/dev/sdf1']],
  ["mode='subsystem' type='block'", '<block> /dev/sdf </block>', ['/dev/sdf']],
  [
    "mode='subsystem' type='scsi'",
    "<adapter name='scsi_host2'/><address bus='0' target='1' unit='3'/>",
    ['scsi 2:0:1:3']
  ],
  ["mode='subsystem' type='scsi'", "<adapter name='scsi_host2'/><address/>", ['scsi 2:0:0:0']],
  ["mode='subsystem' type='scsi'", "<host name='nas' port='3260'/>", []],
  ["mode='subsystem' type='usb'", "<vendor id='0x0951'/><product id='0x1666'/>", ['usb 0951:1666']],
  ["mode='subsystem' type='usb'", "<address bus='2' device='4'/>", ['usb 2/4']],
  ["mode='subsystem' type='usb'", "<address bus='2' port='1.3'/>", ['usb port 2-1.3']],
  ["mode='subsystem' type='pci'", "<address bus='0x04'/>", []]
])('finds the disk of <hostdev %s> with %s', (attributes, source, expected) => {
  const inner = `<hostdev ${attributes}><source>${source}</source></hostdev>`
  expect(disksIn(`<devices>${inner}</devices>`)).toEqual(expected)
})

test('finds shared folders, NVDIMM memory and firmware variables', () => {
  expect(
    disksIn(`<os><nvram type='block'><source dev='/dev/sde1'/></nvram></os><devices>
      <filesystem type='mount'><source dir='/'/><target dir='host'/></filesystem>
      <filesystem type='mount'><source dir='/etc'/><target dir='etc'/><readonly/></filesystem>
      <filesystem type='mount'><driver type='virtiofs'/><source socket='/run/x'/></filesystem>
      <memory model='nvdimm'><source><path>/dev/pmem0</path></source></memory></devices>`)
  ).toEqual(['folder /', 'folder /etc read', '/dev/pmem0', '/dev/sde1'])
})

test.each([
  [['-drive', 'file=/dev/sda,format=raw,if=virtio'], ['/dev/sda']],
  [['-drive', 'if=virtio,file.filename=/dev/sda,file.driver=host_device'], ['/dev/sda']],
  [['-drive', 'file=/dev/sda,readonly=on'], ['/dev/sda read']],
  [['-drive', 'file=/dev/sda,readonly=off'], ['/dev/sda']],
  [['-drive', 'file=/dev/sr0,media=cdrom'], ['/dev/sr0 read']],
  [['-drive', 'file=raw:/dev/sda'], ['/dev/sda']],
  [['-drive', 'file=/a,,b.img'], ['/a,b.img']],
  [['--blockdev', 'driver=host_device,filename=/dev/sda,node-name=a'], ['/dev/sda']],
  [
    ['-blockdev', '{"driver":"raw","file":{"driver":"host_device","filename":"\\/dev\\/sda"}}'],
    ['/dev/sda']
  ],
  [
    ['-blockdev', '{"driver":"host_device","filename":"/dev/sda","read-only":true}'],
    ['/dev/sda read']
  ],
  [['-drive', 'file=json:{"driver":"raw"'], []],
  [['-hda', '/dev/sda'], ['/dev/sda']],
  [['-cdrom', '/dev/sr0'], ['/dev/sr0 read']],
  [['-fda', '/dev/sda'], ['/dev/sda floppy']],
  [['-virtfs', 'local,path=/,mount_tag=host,security_model=none'], ['folder /']],
  [['-fsdev', 'local,id=a,path=/etc,readonly=on'], ['folder /etc read']],
  [['-object', 'memory-backend-file,id=a,mem-path=/dev/shm/x,size=1M'], ['/dev/shm/x']],
  [['-object', 'input-linux,id=a,evdev=/dev/input/event5'], ['/dev/input/event5']],
  [['-drive', 'file=blkdebug::/dev/sda'], ['/dev/sda']],
  [['-drive', 'file=fat:rw:/etc'], ['folder /etc']],
  [['-hda', 'fat:floppy:rw:/etc'], ['folder /etc']],
  [['-blockdev', 'driver=vvfat,dir=/etc,rw=on,node-name=a'], ['folder /etc']],
  [['-blockdev', 'driver=vvfat,dir=/etc,node-name=a'], []],
  [['-drive', 'file=fat:/etc'], []],
  [['-device', 'usb-host,vendorid=0x0951,productid=0x1666'], ['usb 0951:1666']],
  [['-device', 'usb-host,hostbus=2,hostaddr=4'], ['usb 2/4']],
  [['-device', 'usb-host,hostbus=2,hostport=1.3'], ['usb port 2-1.3']],
  [['-device', 'usb-host,hostdevice=/dev/bus/usb/002/004'], ['usb 2/4']],
  [['-device', '{"driver":"usb-host","hostbus":2,"hostaddr":4}'], ['usb 2/4']],
  [['-device', 'usb-host,id=a'], []],
  [['-device', 'usb-tablet'], []],
  [['-m', '4096'], []]
])('finds the disks in the QEMU arguments %j', (values, expected) => {
  expect(args(...values)).toEqual(expected)
})
