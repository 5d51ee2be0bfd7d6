// The file of a guest in our folder: made from the XML of its domain, and the person's to edit.

import { join } from 'node:path'
import type { FolderListing, SourceFile } from '../configuration/files.ts'
import { isStampFor, stamp, stampOf } from '../configuration/stamp.ts'
import { readIdentity, toNix, toXml, warningsOn } from '../guests/convert.ts'
import type { Change, Warning } from '../guests/modernize/change.ts'
import { type Identities, modernize } from '../guests/modernize/modernize.ts'
import { passedDevices } from '../guests/needs/needs.ts'
import { GUESTS } from '../guests/readNix.ts'
import { readXml } from '../guests/xml/readXml.ts'
import {
  attributeOf,
  canonicalOf,
  childElements,
  find,
  findAll,
  textContent,
  type XmlDocument,
  type XmlElement
} from '../guests/xml/tree.ts'
import type { NixDocument } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { Place } from '../nix/text/lines.ts'
import type { ApplyProblem } from './problem.ts'

/** All that is known of a guest that goes into a configuration. */
interface GuestInput {
  /** As the domain has it. */
  name: string
  document: XmlDocument
  /** The folder for guests, links resolved, and what stands in it. */
  folder: string
  listing: FolderListing
  /** Where a guest gets what it is known by and the domain leaves open. */
  identities: Identities
  /**
   * The addresses of the virtual functions of the machine that libvirt is to manage; absent where that is not
   * looked at.
   */
  virtual?: ReadonlySet<string> | undefined
  version: string
  /** The configuration and what it imports. */
  files: readonly SourceFile[]
  /** Whether a file that was edited may be replaced. */
  replaces: boolean
}

/** What becomes of the file of a guest. */
export interface GuestPlan {
  name: string
  path: string
  /** Undefined where there is no file yet. */
  before: string | undefined
  /** The same as `before` where there is nothing to do. */
  after: string
  /** Whether it stays as it is although it was edited: the XML is still that which it was made from. */
  isEdited: boolean
  changes: readonly Change[]
  remarks: readonly Warning[]
}

const REMARK = 'a guest, made from its XML; yours to edit'

/**
 * Works out the file of a guest: its domain as Nix, mended, and with the identity that the file there
 * has already. Nothing is to be done where the file was made from the same XML or says the same.
 *
 * `GUEST_DEFINED` where another file of the configuration defines the guest, or a file with other guests;
 * `GUEST_UUID` where another guest of the folder has the same UUID; `GUEST_EDITED` where the file was edited
 * and the XML is another one now; `GUEST_NOT_CONVERTED` where the two forms would differ, which is a bug.
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
  const after = stamp(input.version, text.value, REMARK)
  const others = [...present].filter(([file]) => file !== existing?.[0])
  const same = sharedUUID(root, others)
  if (same) return err({ code: 'GUEST_UUID', path: join(folder, same.file), name, uuid: same.uuid })
  const plan = {
    name,
    path,
    before: before?.text,
    changes,
    remarks: [...warnings, ...warningsOn(root)]
  }
  if (before === undefined) return ok({ ...plan, after, isEdited: false })

  const isEdited = stampOf(before.text) !== 'intact'
  const written = domainIn(before.doc)
  if (written && canonicalOf(written) === canonicalOf(root))
    return ok({ ...plan, after: before.text, isEdited: false })
  if (isStampFor(before.text, text.value)) return ok({ ...plan, after: before.text, isEdited })
  // A file that has other guests too can't be replaced as a whole.
  const xml = toXml(before.doc)
  const isShared = !xml.ok && xml.error.code === 'AMBIGUOUS_DOMAIN'
  const shared = isShared ? placeIn(before.doc, name) : undefined
  if (shared) return err({ code: 'GUEST_DEFINED', name, path, at: shared })
  if (isEdited && !input.replaces) {
    return err({ code: 'GUEST_EDITED', path, name, isOurs: stampOf(before.text) !== 'none' })
  }
  return ok({ ...plan, after, isEdited: false })
}

/** Another file with the same UUID, which is the same guest to libvirt. */
function sharedUUID(
  root: XmlElement,
  files: readonly (readonly [string, SourceFile | null])[]
): { file: string; uuid: string } | undefined {
  const uuid = textContent(find(root, 'uuid') ?? root).trim()
  const known = (it: SourceFile | null) => it && readIdentity(it.doc).uuid?.toLowerCase()
  const [file] =
    files.find(([name, it]) => name.endsWith('.nix') && known(it) === uuid.toLowerCase()) ?? []
  return file === undefined ? undefined : { file, uuid }
}

/** The first place where a module says what the guest of this name is. */
function placeIn(doc: NixDocument, name: string): Place | undefined {
  const [found] = ['domain', 'xmlFile']
    .map(it => [...GUESTS, name, it])
    .flatMap(it => [...doc.getIn(it), ...doc.getBelow(it)])
  return found?.at
}

/** A name for the file that no other has, and that every tool takes. */
function freeName(guest: string, present: ReadonlyMap<string, unknown>): string {
  const plain = guest.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[._-]+|-+$/g, '') || 'guest'
  let name = `${plain}.nix`
  for (let number = 2; present.has(name); number++) name = `${plain}-${number}.nix`
  return name
}

/** The domain that a file defines; undefined where that has to be computed. */
export function domainIn(doc: NixDocument): XmlElement | undefined {
  const xml = toXml(doc)
  const document = xml.ok ? readXml(xml.value) : undefined
  return document?.ok ? document.value.root : undefined
}

/** What an earlier run, which could look at the machine, gave to libvirt to manage. */
function managedIn(doc: NixDocument | undefined): Set<string> {
  const domain = doc && domainIn(doc)
  const devices = domain ? passedDevices(domain) : []
  return new Set(devices.filter(it => it.isManaged).map(it => it.address))
}

/** What the file of the guest has already goes before anything new. */
function pinned(
  { root }: XmlDocument,
  doc: NixDocument | undefined,
  identities: Identities
): Identities {
  const known = doc ? readIdentity(doc) : { uuid: undefined, macs: [] }
  const cards = findAll(root, 'devices', 'interface')
  const own = cards.map(card => {
    const mac = find(card, 'mac')
    return mac && attributeOf(mac, 'address')
  })
  const free = known.macs.map(it => (own.includes(it) ? undefined : it))
  const queue = cards.flatMap((it, i) => (childElements(it, 'mac').length === 0 ? [free[i]] : []))
  return {
    uuid: () => known.uuid ?? identities.uuid(),
    mac: () => queue.shift() ?? identities.mac()
  }
}
