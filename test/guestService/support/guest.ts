// Guests that QEMU can run without KVM, and libvirt's default network.

export const UUIDS: Record<string, string> = {
  win10: 'a4f3e9c6-5c0e-4a53-9d5f-3e0c6a1b7d21',
  "my son's": '5d4d3a2b-08a5-4c6c-b3d1-4a5d0f6d1b08'
}

/** The XML of a guest. */
export function guest({
  name = 'win10',
  memory = 16,
  uuid = '',
  devices = '',
  os = ''
} = {}): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <uuid>${uuid || (UUIDS[name] ?? '00000000-0000-4000-8000-000000000001')}</uuid>
  <memory unit='MiB'>${memory}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>${os}</os>
  <features><acpi/></features>
  <devices>${devices}</devices>
</domain>
`
}

/** The network "default", with a configuration that needs nothing from the host. */
export const NETWORK = `<network>
  <name>default</name>
  <forward mode='bridge'/>
  <bridge name='nowhere0'/>
</network>
`

/** The memory of a guest in MiB, from the output of virsh dumpxml. */
export function memoryIn(dump: string): number {
  const [, kib] = /<memory unit='KiB'>(\d+)</.exec(dump) ?? []
  return Number(kib) / 1024
}
