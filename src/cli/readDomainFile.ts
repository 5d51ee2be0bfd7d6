import { statSync } from 'node:fs'
import { readTarget } from '../files/target.ts'
import { tooBig } from '../libvirt/decodeXml.ts'
import { MOST_BYTES } from '../libvirt/readXml.ts'
import { err, ok, type Result } from '../nix/result.ts'
import type { Context } from './context.ts'
import { domainMessage, domainReadMessage } from './domainMessages.ts'
import { EXIT, type Message } from './message.ts'

/** The bytes of a file, or of standard input for `-`. What is too big for a domain is not read to its end. */
export async function readDomainFile(
  path: string,
  context: Context
): Promise<Result<Uint8Array, Message>> {
  if (path === '-') return readInput(context)
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > MOST_BYTES) return err(domainMessage(tooBig(size), context))
  const target = readTarget(path, { store: true })
  return target.ok ? ok(target.value.bytes) : err(domainReadMessage(target.error, context))
}

async function readInput(context: Context): Promise<Result<Uint8Array, Message>> {
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for await (const part of process.stdin) {
      parts.push(part)
      size += part.length
      if (size > MOST_BYTES) return err(domainMessage(tooBig(), context))
    }
    return ok(Buffer.concat(parts))
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException
    return err({
      code: 'IO_ERROR',
      exit: EXIT.io,
      what: `standard input could not be read (${code}).`,
      remedy: 'give it the guest, e.g. with < win10.xml'
    })
  }
}
