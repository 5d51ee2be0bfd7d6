import { statSync } from 'node:fs'
import { readTarget } from '../../files/target.ts'
import { tooBig } from '../../libvirt/decodeXml.ts'
import { MOST_BYTES } from '../../libvirt/readXml.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import type { Context } from '../context.ts'
import type { Message } from '../message.ts'
import { domainMessage, domainReadMessage } from '../messages/domainMessages.ts'
import { readInput } from './readInput.ts'

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
