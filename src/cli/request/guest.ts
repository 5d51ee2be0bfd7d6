import { randomBytes, randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { guestName, warningsAbout } from '../../guests/convert.ts'
import { type Identities, modernize } from '../../guests/modernize/modernize.ts'
import { passedDisks } from '../../guests/needs/disks.ts'
import { deriveNeeds, type Guest } from '../../guests/needs/needs.ts'
import { MAX_BYTES, readDomain, tooBigError } from '../../guests/xml/readXml.ts'
import { attributeOf } from '../../guests/xml/tree.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { readTarget } from '../../storage/read.ts'
import type { Context } from '../context.ts'
import { CommandError, orThrow } from '../message.ts'
import {
  badName,
  domainMessage,
  domainReadMessage,
  inputMessage,
  otherMonitor,
  PIPE_GUEST,
  passwordIn
} from '../messages/guests.ts'

/** Reads the bytes of a file, or of standard input for `-`. A file that is too big is not read to its end. */
export async function readDomainFile(path: string, context: Context): Promise<Uint8Array> {
  if (path !== '-') return readDomainPath(path, context)
  const input = await readInput(PIPE_GUEST, MAX_BYTES)
  if (input.length > MAX_BYTES) throw new CommandError(domainMessage(tooBigError(), context))
  return input
}

/** Reads the bytes of a file. */
function readDomainPath(path: string, context: Context): Uint8Array {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > MAX_BYTES) throw new CommandError(domainMessage(tooBigError(size), context))
  return orThrow(readTarget(path, { store: true }), it => domainReadMessage(it, context)).bytes
}

/**
 * Reads standard input to its end, or until more than `most` bytes were read. `remedy` is part of the message if
 * standard input can't be read.
 */
export async function readInput(remedy: string, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for await (const part of process.stdin) {
      parts.push(part)
      size += part.length
      if (size > most) break
    }
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException
    throw new CommandError(inputMessage(code, remedy))
  }
  return Buffer.concat(parts)
}

// The guest of --domain: its file, and what it needs of the host.

/** Makes random identities. */
export const identities: Identities = {
  uuid: () => randomUUID(),
  mac: () => `52:54:00:${[...randomBytes(3)].map(it => it.toString(16).padStart(2, '0')).join(':')}`
}

/** Reads the guest in the file of `--domain`. */
export function readGuest(file: string, context: Context): Guest {
  const bytes = readDomainPath(resolve(file), { ...context, file: resolve(file) })
  const domain = orThrow(readDomain(bytes), it => domainMessage(it, { ...context, file }))
  const { text: xml, document } = domain
  const name = guestName(document)
  // libvirt or the modules would reject other names.
  if (name === undefined || !isName(name)) throw new CommandError(badName(name, file))
  const type = attributeOf(document.root, 'type') ?? 'kvm'
  if (!['kvm', 'qemu'].includes(type)) throw new CommandError(otherMonitor(type, file))
  const [password] = warningsAbout(document.root).filter(it => it.code === 'PASSWORD')
  if (password) {
    const { start } = password
    const line = start === undefined ? undefined : placeOf(xml, start).line
    throw new CommandError(passwordIn(file, line))
  }
  const { root } = modernize(document.root, identities)
  return { file, xml, name, document, needs: deriveNeeds(root), disks: passedDisks(root) }
}

function isName(name: string): boolean {
  // virsh would read these names as an ID or a UUID.
  const isTakenForAnother = /^\s*\+?\d+$|^[\da-f-]{36}$/i.test(name)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are not allowed in a name
  return !isTakenForAnother && /^[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*$/.test(name)
}
