// A guest's file: it is made from the XML of the guest's domain, and the user can edit it.

import { join } from 'node:path'
import type { FolderListing, SourceFile } from '../configuration/files.ts'
import { isStampFor, stamp, stampOf } from '../configuration/stamp.ts'
import { readIdentity, toNix, toXml, warningsAbout } from '../guests/convert.ts'
import type { Change, Warning } from '../guests/modernize/change.ts'
import { type Identities, modernize } from '../guests/modernize/modernize.ts'
import { passedDevices } from '../guests/needs/needs.ts'
import { GUESTS_PATH } from '../guests/readNix.ts'
import { readXml } from '../guests/xml/readXml.ts'
import {
  attributeOf,
  canonicalOf,
  childElements,
  findElement,
  findElements,
  textContent,
  type XmlDocument,
  type XmlElement
} from '../guests/xml/tree.ts'
import type { NixDocument } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { Place } from '../nix/text/lines.ts'
import { GUEST_REMARK } from './messages/guests.ts'
import type { ApplyProblem } from './problem.ts'

/** Everything that the plan for a guest's file is based on. */
interface GuestInput {
  /** The name in the domain. */
  name: string
  document: XmlDocument
  /** The folder for guests, with symlinks resolved, and its contents. */
  folder: string
  listing: FolderListing
  /** Generates the UUID and MAC addresses that the domain does not have. */
  identities: Identities
  /**
   * The addresses of the machine's virtual functions that libvirt has to manage; absent if the machine is not
   * inspected.
   */
  virtual?: ReadonlySet<string> | undefined
  version: string
  /** The configuration and the files that it imports. */
  files: readonly SourceFile[]
  /** Whether an edited file may be replaced. */
  mayReplace: boolean
}

/** The planned file of a guest. */
export interface GuestPlan {
  name: string
  path: string
  /** Undefined for a new file. */
  before: string | undefined
  /** Equal to `before` if nothing changes. */
  after: string
  /** Whether the file was edited and is kept because it was made from the same XML. */
  isEdited: boolean
  changes: readonly Change[]
  warnings: readonly Warning[]
}

/**
 * Plans a guest's file: its fixed domain in Nix, with the UUID and MAC addresses of an earlier file of the guest. The
 * file does not change if it was made from the same XML or defines the same domain.
 *
 * Errors: `GUEST_DEFINED` if another file of the configuration or a file with several guests defines the guest;
 * `GUEST_UUID` if another guest in the folder has the same UUID; `GUEST_EDITED` if the file was edited and the XML has
 * changed; `GUEST_NOT_CONVERTED` if XML and Nix would differ, which is a bug.
 */
export function planGuest(input: GuestInput): Result<GuestPlan, ApplyProblem> {
  const { name, document, folder, listing } = input
  for (const { path, doc } of input.files) {
    const at = placeIn(doc, name)
    if (at) return err({ code: 'GUEST_DEFINED', name, path, at })
  }
  const present: ReadonlyMap<string, SourceFile | null> =
    typeof listing === 'string' ? new Map() : listing
  if (listing === 'not-a-folder')
    return err({ code: 'FOREIGN_FOLDER', path: folder, found: folder })

  const existing = [...present].find(
    ([file, it]) => file.endsWith('.nix') && it && placeIn(it.doc, name)
  )
  const path = join(folder, existing?.[0] ?? freeName(name, present))
  const before = existing?.[1] ?? undefined
  const known = before?.doc
  const { root, changes, warnings } = modernize(
    document.root,
    pinned(document, known, input.identities),
    input.virtual ?? managedIn(known)
  )
  const text = toNix({ ...document, root })
  if (!text.ok) return err({ code: 'GUEST_NOT_CONVERTED', path, message: text.error.message })
  const after = stamp(input.version, text.value, GUEST_REMARK)
  const others = [...present].filter(([file]) => file !== existing?.[0])
  const same = sharedUUID(root, others)
  if (same) return err({ code: 'GUEST_UUID', path: join(folder, same.file), name, uuid: same.uuid })
  const plan = {
    name,
    path,
    before: before?.text,
    changes,
    warnings: [...warnings, ...warningsAbout(root)]
  }
  if (before === undefined) return ok({ ...plan, after, isEdited: false })

  const isEdited = stampOf(before.text) !== 'intact'
  const written = domainIn(before.doc)
  if (written && canonicalOf(written) === canonicalOf(root))
    return ok({ ...plan, after: before.text, isEdited: false })
  if (isStampFor(before.text, text.value)) return ok({ ...plan, after: before.text, isEdited })
  // A file with other guests can't be replaced as a whole.
  const xml = toXml(before.doc)
  const isShared = !xml.ok && xml.error.code === 'AMBIGUOUS_DOMAIN'
  const shared = isShared ? placeIn(before.doc, name) : undefined
  if (shared) return err({ code: 'GUEST_DEFINED', name, path, at: shared })
  if (isEdited && !input.mayReplace) {
    return err({ code: 'GUEST_EDITED', path, name, hasStamp: stampOf(before.text) !== 'none' })
  }
  return ok({ ...plan, after, isEdited: false })
}

/** Another file with the same UUID: to libvirt, both would be the same guest. */
function sharedUUID(
  root: XmlElement,
  files: readonly (readonly [string, SourceFile | null])[]
): { file: string; uuid: string } | undefined {
  const uuid = textContent(findElement(root, 'uuid') ?? root).trim()
  const known = (it: SourceFile | null) => it && readIdentity(it.doc).uuid?.toLowerCase()
  const [file] =
    files.find(([name, it]) => name.endsWith('.nix') && known(it) === uuid.toLowerCase()) ?? []
  return file === undefined ? undefined : { file, uuid }
}

/** The first place where a module defines the guest of this name. */
function placeIn(doc: NixDocument, name: string): Place | undefined {
  const [found] = ['domain', 'xmlFile']
    .map(it => [...GUESTS_PATH, name, it])
    .flatMap(it => [...doc.getIn(it), ...doc.getBelow(it)])
  return found?.at
}

/** A file name that is free and has no special characters. */
function freeName(guest: string, present: ReadonlyMap<string, unknown>): string {
  const plain = guest.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[._-]+|-+$/g, '') || 'guest'
  let name = `${plain}.nix`
  for (let number = 2; present.has(name); number++) name = `${plain}-${number}.nix`
  return name
}

/** The domain that a file defines; undefined if it has to be computed. */
export function domainIn(doc: NixDocument): XmlElement | undefined {
  const xml = toXml(doc)
  const document = xml.ok ? readXml(xml.value) : undefined
  return document?.ok ? document.value.root : undefined
}

/** The devices that libvirt manages in the existing file: an earlier run may have read the machine for them. */
function managedIn(doc: NixDocument | undefined): Set<string> {
  const domain = doc && domainIn(doc)
  const devices = domain ? passedDevices(domain) : []
  return new Set(devices.filter(it => it.isManaged).map(it => it.address))
}

/** Takes the UUID and MAC addresses from the existing file as far as it has them, then generates new ones. */
function pinned(
  { root }: XmlDocument,
  doc: NixDocument | undefined,
  identities: Identities
): Identities {
  const known = doc ? readIdentity(doc) : { uuid: undefined, macs: [] }
  const cards = findElements(root, 'devices', 'interface')
  const own = cards.map(card => {
    const mac = findElement(card, 'mac')
    return mac && attributeOf(mac, 'address')
  })
  const free = known.macs.map(it => (own.includes(it) ? undefined : it))
  const queue = cards.flatMap((it, i) => (childElements(it, 'mac').length === 0 ? [free[i]] : []))
  return {
    uuid: () => known.uuid ?? identities.uuid(),
    mac: () => queue.shift() ?? identities.mac()
  }
}
