import { err, ok, type Result } from '../../nix/result.ts'
import { EXIT, type Message } from '../message.ts'

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
