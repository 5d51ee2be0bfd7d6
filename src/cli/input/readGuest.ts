// The guest that --domain names: its file read, and what it needs of the host.

import { randomBytes, randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { guestName } from '../../libvirt/convert.ts'
import { readDomain } from '../../libvirt/decodeXml.ts'
import { type PassedDisk, passedDisks } from '../../libvirt/learn/disks.ts'
import { learn, type Needs } from '../../libvirt/learn/learn.ts'
import type { Identities } from '../../libvirt/mend/identity.ts'
import { mend } from '../../libvirt/mend/mend.ts'
import { remarksOn } from '../../libvirt/remarks.ts'
import { attributeOf, type XmlDocument } from '../../libvirt/tree.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import type { Arguments } from '../arguments/parseArguments.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { domainMessage } from '../messages/domainMessages.ts'
import { badName, otherMonitor, passwordIn } from '../messages/guestMessages.ts'
import { readDomainPath } from './readDomainFile.ts'

/** A guest as it was read from its XML. */
export interface Guest {
  /** The file as the person knows it, and its text. */
  file: string
  xml: string
  name: string
  document: XmlDocument
  needs: Needs
  /** The disks and folders of the host that it gets. */
  disks: readonly PassedDisk[]
}

/** New identities, each at random. */
export const identities: Identities = {
  uuid: () => randomUUID(),
  mac: () => `52:54:00:${[...randomBytes(3)].map(it => it.toString(16).padStart(2, '0')).join(':')}`
}

/** Reads the guest that `--domain` names; undefined without it. */
export function readGuest(given: Arguments, context: Context): Result<Guest | undefined, Message> {
  const file = given.text('domain')
  if (file === undefined) return ok(undefined)
  const about = { ...context, file }
  const bytes = readDomainPath(resolve(file), { ...context, file: resolve(file) })
  if (!bytes.ok) return bytes
  const domain = readDomain(bytes.value)
  if (!domain.ok) return err(domainMessage(domain.error, about))
  const { text: xml, document } = domain.value
  const name = guestName(document)
  // As far as libvirt and our modules take it for a name.
  if (name === undefined || !isName(name)) return err(badName(name, file))
  const type = attributeOf(document.root, 'type') ?? 'kvm'
  if (!['kvm', 'qemu'].includes(type)) return err(otherMonitor(type, file))
  const [password] = remarksOn(document.root).filter(it => it.code === 'PASSWORD')
  if (password) {
    const { start } = password
    return err(passwordIn(file, start === undefined ? undefined : placeOf(xml, start).line))
  }
  const { root } = mend(document.root, identities)
  return ok({ file, xml, name, document, needs: learn(root), disks: passedDisks(root) })
}

function isName(name: string): boolean {
  // virsh looks for these before it looks for a name.
  const isTakenForAnother = /^\s*\+?\d+$|^[\da-f-]{36}$/i.test(name)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return !isTakenForAnother && /^[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*$/.test(name)
}
