import {
  emulatorElsewhere,
  emulatorInStore,
  firmwareKept,
  firmwareSelected,
  keysDropped,
  machineOfDistribution,
  machineRemoved,
  macMissing,
  programMoved,
  qcow2FirmwareKept,
  storePath,
  templateDropped,
  uuidMissing,
  virtualFunctionUnmanaged
} from '../messages/changes.ts'
import { passedElements } from '../needs/needs.ts'
import {
  attributeOf,
  childElements,
  element,
  elementsBelow,
  findElement,
  findElements,
  textContent,
  type XmlElement
} from '../xml/tree.ts'
import { modernizeArguments } from './arguments.ts'
import {
  addChild,
  type Change,
  type Modernized,
  removeChild,
  setAttribute,
  setText
} from './change.ts'

/**
 * Adapts a copy of a domain from another distribution or an older release to this NixOS, and returns the copy
 * and the changes. It is idempotent. `virtual` are the PCI addresses of the host's known virtual functions.
 */
export function modernize(
  root: XmlElement,
  identities: Identities,
  virtual: ReadonlySet<string> = new Set()
): Modernized & { root: XmlElement } {
  const draft = structuredClone(root)
  const result: Modernized = { changes: [], warnings: [] }
  addIdentity(draft, identities, result)
  modernizeMachine(draft, result)
  modernizeFirmware(draft, result)
  modernizeEmulator(draft, result)
  modernizeArguments(draft, result)
  modernizeManaged(draft, virtual, result)
  modernizeStorePaths(draft, result)
  return { root: draft, ...result }
}

/** Generates a new identity with each call. */
export interface Identities {
  /** A random UUID, such as `8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10`. */
  uuid: () => string
  /** A random MAC address in QEMU's range, such as `52:54:00:6b:3c:58`. */
  mac: () => string
}

/** Adds a UUID to a guest without one, and a MAC address to each network card without one. */
function addIdentity(root: XmlElement, identities: Identities, { changes }: Modernized): void {
  if (!findElement(root, 'uuid')) {
    const uuid = identities.uuid()
    addChild(root, element('uuid', {}, uuid), 'name')
    changes.push({ ...uuidMissing(), path: 'uuid', before: null, after: uuid })
  }
  for (const card of childElements(findElement(root, 'devices'), 'interface')) {
    if (findElement(card, 'mac')) continue
    const address = identities.mac()
    card.children.unshift(element('mac', { address }))
    changes.push({
      ...macMissing(),
      ...{ path: 'devices/interface', start: card.start },
      ...{ before: null, after: `<mac address='${address}'/>` }
    })
  }
}

/** Replaces a machine type that QEMU has removed, or that only one distribution has, with its family. */
function modernizeMachine(root: XmlElement, { changes }: Modernized): void {
  const type = findElement(root, 'os', 'type')
  const before = attributeOf(type, 'machine') ?? ''
  const [, family, version = ''] = /^pc(?:-(q35|i440fx))?-([\w.]+(?:-[\w.-]+)?)$/.exec(before) ?? []
  const numbers = /^(\d+)\.(\d+)$/.exec(version)
  const [major = 0, minor = 0] = numbers?.slice(1).map(Number) ?? []
  // QEMU removes a machine type six years after its release: 4.2 in QEMU 10.2.
  const isSupported = numbers && (major > 4 || (major === 4 && minor > 2))
  if (!type || version === '' || isSupported) return
  const after = family === 'q35' ? 'q35' : 'pc'
  setAttribute(type, 'machine', after)
  const reason = numbers ? machineRemoved() : machineOfDistribution()
  changes.push({ ...reason, path: 'os/type', before, after, start: type.start })
}

/**
 * Adds `managed='yes'` to SR-IOV virtual functions without `managed`, because no other part of the host binds
 * them. `virtual` are the PCI addresses of the known ones. An `<interface type='hostdev'>` is always a virtual
 * function, because libvirt accepts no other device for it.
 */
function modernizeManaged(
  root: XmlElement,
  virtual: ReadonlySet<string>,
  { changes }: Modernized
): void {
  for (const { element, holder, as, address } of passedElements(root)) {
    if (!virtual.has(address) && as !== 'interface') continue
    if ((attributeOf(element, 'managed') ?? attributeOf(holder, 'managed')) !== undefined) continue
    setAttribute(holder, 'managed', 'yes')
    changes.push({
      ...virtualFunctionUnmanaged(address),
      ...{ path: `devices/${element.name}`, start: element.start },
      ...{ before: null, after: "managed='yes'" }
    })
  }
}

// ---- firmware, whose path differs between distributions

const DISTRIBUTION_IMAGE = /^\/usr\/share\/(?:OVMF|ovmf|edk2|edk2-ovmf|qemu)(?:\/[\w-]+)*\//
const STORE_IMAGE = /^\/nix\/store\/[^/]+\/(?:FV|share\/[\w/-]+)\//
const FORMER_LINK = /^\/run\/libvirt\/nix-ovmf\/(?:OVMF|AAVMF)_/
const CODE_IMAGE = /\/(?:OVMF_CODE|OVMF\.|OVMF-|ovmf-|edk2-x86_64-)[\w.-]*\.(fd|bin)$/i

/**
 * Replaces the path of a firmware image with `<os firmware='efi'>`, which makes libvirt select an image of this
 * system. The path of the guest's variables is kept. An image for another processor, or in another format, is
 * kept with a warning.
 */
function modernizeFirmware(root: XmlElement, { changes, warnings }: Modernized): void {
  const os = findElement(root, 'os')
  const loader = os && findElement(os, 'loader')
  const before = loader ? textContent(loader).trim() : ''
  const isForeign = [DISTRIBUTION_IMAGE, STORE_IMAGE, FORMER_LINK].some(it => it.test(before))
  if (!loader || !isForeign) return
  if (attributeOf(loader, 'type') !== 'pflash' || !CODE_IMAGE.test(before)) {
    const finding = before.endsWith('.qcow2')
      ? qcow2FirmwareKept(before, attributeOf(loader, 'secure') === 'yes')
      : firmwareKept(before)
    warnings.push({ ...finding, path: 'os/loader', start: loader.start })
    return
  }
  changes.push(replaceLoader(os, loader, before), ...dropTemplate(os))
  if (DISTRIBUTION_IMAGE.test(before)) changes.push(...dropKeys(os))
}

function replaceLoader(os: XmlElement, loader: XmlElement, before: string): Change {
  setAttribute(os, 'firmware', 'efi')
  // These attributes are requirements on the firmware, not properties of the old image.
  const kept = ['secure', 'stateless'].flatMap(name =>
    attributeOf(loader, name) === 'yes' ? [{ name, value: 'yes' }] : []
  )
  loader.attributes = kept
  setText(loader, '')
  if (kept.length === 0) removeChild(os, loader)
  const attributes = kept.map(it => ` ${it.name}='${it.value}'`).join('')
  return {
    ...firmwareSelected(),
    path: 'os/loader',
    before,
    after: `<os firmware='efi'>${attributes === '' ? '' : ` with <loader${attributes}/>`}`,
    start: loader.start
  }
}

function dropTemplate(os: XmlElement): Change[] {
  return childElements(os, 'nvram').flatMap((nvram): Change[] => {
    const template = attributeOf(nvram, 'template')
    if (template === undefined) return []
    setAttribute(nvram, 'template', undefined)
    setAttribute(nvram, 'templateFormat', undefined)
    if (textContent(nvram).trim() === '' && nvram.attributes.length === 0) removeChild(os, nvram)
    const before = `template='${template}'`
    const { start } = nvram
    return [{ ...templateDropped(), path: 'os/nvram', before, after: null, start }]
  })
}

/** Turns off `enrolled-keys`: NixOS has no firmware with keys, so libvirt would find none. */
function dropKeys(os: XmlElement): Change[] {
  return childElements(findElement(os, 'firmware'), 'feature').flatMap((feature): Change[] => {
    const isEnabled = attributeOf(feature, 'enabled') === 'yes'
    if (attributeOf(feature, 'name') !== 'enrolled-keys' || !isEnabled) return []
    setAttribute(feature, 'enabled', 'no')
    return [
      {
        ...keysDropped(),
        path: 'os/firmware/feature',
        before: "enrolled-keys enabled='yes'",
        after: "enrolled-keys enabled='no'",
        start: feature.start
      }
    ]
  })
}

// ---- paths of programs, and other paths into the Nix store

const EMULATOR_PATH =
  /^(?:\/nix\/store\/[^/]+\/bin|\/run\/current-system\/sw\/bin|\/usr(?:\/local)?\/(?:s?bin|libexec)|\/bin)\/(qemu-system-[\w]+|qemu-kvm|kvm|kvm-spice)$/

/** Replaces an emulator of another distribution or in the Nix store with the emulator that NixOS links. */
function modernizeEmulator(root: XmlElement, { changes }: Modernized): void {
  for (const emulator of childElements(findElement(root, 'devices'), 'emulator')) {
    const before = textContent(emulator).trim()
    const program = EMULATOR_PATH.exec(before)?.[1]
    if (program === undefined) continue
    const architecture = attributeOf(findElement(root, 'os', 'type'), 'arch') ?? 'x86_64'
    const name = program.startsWith('qemu-system-') ? program : `qemu-system-${architecture}`
    const after = `/run/libvirt/nix-emulators/${name}`
    setText(emulator, after)
    const isInStore = before.startsWith('/nix/store/')
    const reason = isInStore ? emulatorInStore() : emulatorElsewhere()
    const { start } = emulator
    changes.push({ ...reason, path: 'devices/emulator', before, after, start })
  }
}

const VIRTIOFSD_PATH =
  /^(?:\/nix\/store\/[^/]+\/(?:bin|libexec)|\/usr\/(?:lib|libexec|lib\/qemu|lib\/kvm|bin))\/virtiofsd$/

/** Replaces the path of virtiofsd, and warns about other paths into the Nix store. */
function modernizeStorePaths(root: XmlElement, { changes, warnings }: Modernized): void {
  const devices = findElement(root, 'devices')
  for (const binary of devices ? findElements(devices, 'filesystem', 'binary') : []) {
    const before = attributeOf(binary, 'path')
    if (before === undefined || !VIRTIOFSD_PATH.test(before)) continue
    const after = '/run/current-system/sw/bin/virtiofsd'
    setAttribute(binary, 'path', after)
    const { start } = binary
    changes.push({ ...programMoved(), path: 'devices/filesystem/binary', before, after, start })
  }
  for (const { element, path } of [{ element: root, path: '' }, ...elementsBelow(root)]) {
    if (element.name === 'loader') continue
    const values = element.attributes.map(it => it.value)
    const texts = element.children.map(it => (it.kind === 'text' ? it.text : ''))
    for (const text of [...values, ...texts]) {
      const found = /\/nix\/store\/[^\s,"]+/.exec(text)?.[0]
      if (found === undefined) continue
      warnings.push({ ...storePath(found), path, start: element.start })
    }
  }
}
