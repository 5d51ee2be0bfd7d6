import { passedElements } from '../needs/needs.ts'
import {
  attributeOf,
  childElements,
  element,
  elementsBelow,
  find,
  findAll,
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
 * A domain from another system or time as NixOS can run it, and each change; the root that was given
 * stays as it is. What is right already is not touched, so mending twice changes nothing more. `virtual` are
 * the addresses of virtual functions of the host that libvirt is to manage, as far as it is known.
 */
export function modernize(
  root: XmlElement,
  identities: Identities,
  virtual: ReadonlySet<string> = new Set()
): Modernized & { root: XmlElement } {
  const draft = structuredClone(root)
  const done: Modernized = { changes: [], warnings: [] }
  addIdentity(draft, identities, done)
  modernizeMachine(draft, done)
  modernizeFirmware(draft, done)
  modernizeEmulator(draft, done)
  modernizeArguments(draft, done)
  modernizeManaged(draft, virtual, done)
  modernizeStorePaths(draft, done)
  return { root: draft, ...done }
}

/** Where new identities come from; each call gives another. */
export interface Identities {
  /** A random UUID, such as `8f4c1d55-6f4e-4a2c-9a37-0d1a5b1e7c10`. */
  uuid: () => string
  /** A random address of QEMU's range, such as `52:54:00:6b:3c:58`. */
  mac: () => string
}

/** A guest without a UUID, and a network card without a MAC address, get them for good. */
function addIdentity(root: XmlElement, identities: Identities, { changes }: Modernized): void {
  if (!find(root, 'uuid')) {
    const uuid = identities.uuid()
    addChild(root, element('uuid', {}, uuid), 'name')
    const why = 'libvirt would make up another one each time, and not know the guest again'
    changes.push({ code: 'UUID', path: 'uuid', before: null, after: uuid, why })
  }
  for (const card of childElements(find(root, 'devices'), 'interface')) {
    if (find(card, 'mac')) continue
    const address = identities.mac()
    card.children.unshift(element('mac', { address }))
    changes.push({
      ...{ code: 'MAC', path: 'devices/interface', start: card.start },
      before: null,
      after: `<mac address='${address}'/>`,
      why: 'libvirt would make up another one each time, and the guest find a new network card'
    })
  }
}

/** Replaces a machine type that QEMU no longer has, or that only one distribution has, by its family. */
function modernizeMachine(root: XmlElement, { changes }: Modernized): void {
  const type = find(root, 'os', 'type')
  const before = attributeOf(type, 'machine') ?? ''
  const [, family, version = ''] = /^pc(?:-(q35|i440fx))?-([\w.]+(?:-[\w.-]+)?)$/.exec(before) ?? []
  const numbers = /^(\d+)\.(\d+)$/.exec(version)
  const [major = 0, minor = 0] = numbers?.slice(1).map(Number) ?? []
  // QEMU takes a machine type out six years after it came: 4.2 went with QEMU 10.2.
  const isPresent = numbers && (major > 4 || (major === 4 && minor > 2))
  if (!type || version === '' || isPresent) return
  const after = family === 'q35' ? 'q35' : 'pc'
  setAttribute(type, 'machine', after)
  const reason = numbers
    ? 'QEMU takes machine types out after six years'
    : 'only the QEMU of another distribution has it'
  const why = `${reason}; the guest may find its devices anew, and Windows may ask to be activated`
  changes.push({ code: 'MACHINE', path: 'os/type', before, after, why, start: type.start })
}

/**
 * A virtual function (SR-IOV) that a guest gets is managed by libvirt where the domain does not say: no other
 * part of the host prepares it. `virtual` are the addresses of those that this is known of; an
 * `<interface type='hostdev'>` is a virtual function on any machine, as libvirt takes nothing else there.
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
      ...{ code: 'MANAGED', path: `devices/${element.name}`, start: element.start },
      before: null,
      after: "managed='yes'",
      why: `${address} is a virtual function, which is not bound at boot, so libvirt has to take it when the guest starts`
    })
  }
}

// The image of the firmware and what belongs to it: each distribution has its own.

const OF_DISTRIBUTION = /^\/usr\/share\/(?:OVMF|ovmf|edk2|edk2-ovmf|qemu)(?:\/[\w-]+)*\//
const IN_STORE = /^\/nix\/store\/[^/]+\/(?:FV|share\/[\w/-]+)\//
const FORMER_LINK = /^\/run\/libvirt\/nix-ovmf\/(?:OVMF|AAVMF)_/
const CODE_IMAGE = /\/(?:OVMF_CODE|OVMF\.|OVMF-|ovmf-|edk2-x86_64-)[\w.-]*\.(fd|bin)$/i

/**
 * Replaces the path of a firmware image by `<os firmware='efi'>`, with which libvirt finds the image of
 * this system. The guest's own variables stay where they are. An image for another processor, or in
 * another format, stays, with a warning.
 */
function modernizeFirmware(root: XmlElement, { changes, warnings }: Modernized): void {
  const os = find(root, 'os')
  const loader = os && find(os, 'loader')
  const before = loader ? textContent(loader).trim() : ''
  const isForeign = [OF_DISTRIBUTION, IN_STORE, FORMER_LINK].some(it => it.test(before))
  if (!loader || !isForeign) return
  if (attributeOf(loader, 'type') !== 'pflash' || !CODE_IMAGE.test(before)) {
    const what = `${before} is not there on NixOS, or goes when the store is cleaned; ${advice(before, loader)}`
    warnings.push({ code: 'FIRMWARE', path: 'os/loader', what, start: loader.start })
    return
  }
  changes.push(replaceLoader(os, loader, before), ...dropTemplate(os))
  if (OF_DISTRIBUTION.test(before)) changes.push(...dropKeys(os))
}

function advice(image: string, loader: XmlElement): string {
  if (!image.endsWith('.qcow2')) return 'see what fits from /run/libvirt/nix-ovmf'
  const secure = attributeOf(loader, 'secure') === 'yes' ? " with <loader secure='yes'/>" : ''
  return `the images of NixOS are raw, so the variables have to be: qemu-img convert -O raw VARS.qcow2 VARS.fd; put that file into <nvram> without a format, and <os firmware='efi'>${secure} in place of this <loader>`
}

function replaceLoader(os: XmlElement, loader: XmlElement, before: string): Change {
  setAttribute(os, 'firmware', 'efi')
  // What a guest asks of any firmware.
  const kept = ['secure', 'stateless'].flatMap(name =>
    attributeOf(loader, name) === 'yes' ? [{ name, value: 'yes' }] : []
  )
  loader.attributes = kept
  setText(loader, '')
  if (kept.length === 0) removeChild(os, loader)
  const words = kept.map(it => ` ${it.name}='${it.value}'`).join('')
  return {
    code: 'FIRMWARE',
    path: 'os/loader',
    before,
    after: `<os firmware='efi'>${words === '' ? '' : ` with <loader${words}/>`}`,
    why: 'libvirt then finds the firmware of this system; if the guest does not start with its old variables, restore them or let it make new ones',
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
    const why = 'the template belongs to the firmware, which libvirt now finds by itself'
    const before = `template='${template}'`
    const { start } = nvram
    return [{ code: 'FIRMWARE', path: 'os/nvram', before, after: null, why, start }]
  })
}

/** libvirt finds no firmware at all if it is to come with keys, as other distributions have it. */
function dropKeys(os: XmlElement): Change[] {
  return childElements(find(os, 'firmware'), 'feature').flatMap((feature): Change[] => {
    const isWanted = attributeOf(feature, 'enabled') === 'yes'
    if (attributeOf(feature, 'name') !== 'enrolled-keys' || !isWanted) return []
    setAttribute(feature, 'enabled', 'no')
    return [
      {
        code: 'FIRMWARE',
        path: 'os/firmware/feature',
        before: "enrolled-keys enabled='yes'",
        after: "enrolled-keys enabled='no'",
        why: 'the firmware of NixOS comes without keys for secure boot; variables that have them keep them, new ones need them put in',
        start: feature.start
      }
    ]
  })
}

// Paths to programs that hold on one system only, and into the store.

const EMULATOR =
  /^(?:\/nix\/store\/[^/]+\/bin|\/run\/current-system\/sw\/bin|\/usr(?:\/local)?\/(?:s?bin|libexec)|\/bin)\/(qemu-system-[\w]+|qemu-kvm|kvm|kvm-spice)$/

/** Replaces an emulator of another distribution, or of one build of QEMU, by the one that NixOS links. */
function modernizeEmulator(root: XmlElement, { changes }: Modernized): void {
  for (const emulator of childElements(find(root, 'devices'), 'emulator')) {
    const before = textContent(emulator).trim()
    const program = EMULATOR.exec(before)?.[1]
    if (program === undefined) continue
    const architecture = attributeOf(find(root, 'os', 'type'), 'arch') ?? 'x86_64'
    const name = program.startsWith('qemu-system-') ? program : `qemu-system-${architecture}`
    const after = `/run/libvirt/nix-emulators/${name}`
    setText(emulator, after)
    const why = before.startsWith('/nix/store/')
      ? 'this one QEMU goes when the store is cleaned; NixOS links the current one there'
      : 'NixOS has its QEMU there'
    const { start } = emulator
    changes.push({ code: 'EMULATOR', path: 'devices/emulator', before, after, why, start })
  }
}

const VIRTIOFSD =
  /^(?:\/nix\/store\/[^/]+\/(?:bin|libexec)|\/usr\/(?:lib|libexec|lib\/qemu|lib\/kvm|bin))\/virtiofsd$/

/** Replaces the path of the program that shares folders; warns of other paths into the store. */
function modernizeStorePaths(root: XmlElement, done: Modernized): void {
  const devices = find(root, 'devices')
  for (const binary of devices ? findAll(devices, 'filesystem', 'binary') : []) {
    const before = attributeOf(binary, 'path')
    if (before === undefined || !VIRTIOFSD.test(before)) continue
    const after = '/run/current-system/sw/bin/virtiofsd'
    setAttribute(binary, 'path', after)
    done.changes.push({
      ...{ code: 'PROGRAM', path: 'devices/filesystem/binary', before, after },
      why: 'it is there with: environment.systemPackages = [ pkgs.virtiofsd ]',
      start: binary.start
    })
  }
  for (const { element, path } of [{ element: root, path: '' }, ...elementsBelow(root)]) {
    if (element.name === 'loader') continue
    const values = element.attributes.map(it => it.value)
    const texts = element.children.map(it => (it.kind === 'text' ? it.text : ''))
    for (const text of [...values, ...texts]) {
      const found = /\/nix\/store\/[^\s,"]+/.exec(text)?.[0]
      if (found === undefined) continue
      const what = `${found} goes when the store is cleaned; name the package in the Nix instead, like "\${pkgs.virtio-win}/…", or copy the file`
      done.warnings.push({ code: 'STORE_PATH', path, what, start: element.start })
    }
  }
}
