import { randomBytes, randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { guestName, remarksOn } from '../../guests/convert.ts'
import { type Identities, mend } from '../../guests/modernize/modernize.ts'
import { passedDisks } from '../../guests/needs/disks.ts'
import { type Guest, learn } from '../../guests/needs/needs.ts'
import { MOST_BYTES, readDomain, tooBig } from '../../guests/xml/readXml.ts'
import { attributeOf } from '../../guests/xml/tree.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { placeOf } from '../../nix/text/lines.ts'
import { readTarget } from '../../storage/read.ts'
import type { Arguments } from '../args/parse.ts'
import type { Context } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import {
  badName,
  domainMessage,
  domainReadMessage,
  otherMonitor,
  passwordIn
} from '../text/guests.ts'

/** The bytes of a file, or of standard input for `-`. What is too big for a domain is not read to its end. */
export async function readDomainFile(
  path: string,
  context: Context
): Promise<Result<Uint8Array, Message>> {
  if (path !== '-') return readDomainPath(path, context)
  const input = await readInput('give it the guest, e.g. with < win10.xml', MOST_BYTES)
  const isTooBig = input.ok && input.value.length > MOST_BYTES
  return isTooBig ? err(domainMessage(tooBig(), context)) : input
}

/** The same of a file, at once. */
export function readDomainPath(path: string, context: Context): Result<Uint8Array, Message> {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > MOST_BYTES) return err(domainMessage(tooBig(size), context))
  const target = readTarget(path, { store: true })
  return target.ok ? ok(target.value.bytes) : err(domainReadMessage(target.error, context))
}

/**
 * What comes from standard input, to its end or until more than `most` bytes have come; `remedy` says
 * what it should be given.
 */
export async function readInput(
  remedy: string,
  most = Number.POSITIVE_INFINITY
): Promise<Result<Uint8Array, Message>> {
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for await (const part of process.stdin) {
      parts.push(part)
      size += part.length
      if (size > most) break
    }
    return ok(Buffer.concat(parts))
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException
    const what = `standard input could not be read (${code}).`
    return err({ code: 'IO_ERROR', exit: EXIT.io, what, remedy })
  }
}

// The guest that --domain names: its file read, and what it needs of the host.

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
