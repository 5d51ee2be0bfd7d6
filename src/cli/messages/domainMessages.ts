import type { FileProblem } from '../../files/problem.ts'
import type { DomainError } from '../../libvirt/problem.ts'
import { type Context, nameOfFile } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { drawnByToolkit } from '../show/terminal.ts'
import { readMessage } from './fileMessages.ts'

const DUMP = 'virsh dumpxml --inactive NAME > NAME.xml'

/** Why a domain was not converted, with the line that it is about. */
export function domainMessage(error: DomainError, context: Context): Message {
  const { code, message, hint, at } = error
  const { file, color, width } = context
  const isBug = code === 'NOT_LOSSLESS'
  const place = at === undefined ? '' : `:${at.line}:${at.column}`
  // The excerpt is indented, and may be cut off on both sides.
  const excerpt = drawnByToolkit(error.excerpt({ color, width: width - 4 }))
  return {
    code,
    exit: isBug ? EXIT.invalid : EXIT.refused,
    what: `${at === undefined ? nameOfFile(context) : file}${place}: ${message}.`,
    ...(at === undefined ? {} : { at: { path: file, ...at } }),
    ...(excerpt === '' ? {} : { excerpt }),
    ...(isBug ? { why: 'a conversion that could lose something is never shown.' } : {}),
    ...(isBug ? { remedy: `please report it, with the file and this call: ${context.line}` } : {}),
    ...(hint === undefined ? {} : { remedy: hint })
  }
}

/** Why the file could not be read. */
export function domainReadMessage(problem: FileProblem, context: Context): Message {
  const { code, path } = problem
  if (code === 'NOT_FOUND') {
    return { code, exit: EXIT.io, what: `${path} does not exist.`, remedy: `write it: ${DUMP}` }
  }
  if (code === 'IS_DIRECTORY') {
    return {
      ...{ code, exit: EXIT.io, what: `${path} is a folder.` },
      remedy: `pass the file of a guest; to write one: ${DUMP}`
    }
  }
  return readMessage(problem, context)
}

/** It is Nix, and XML was expected. */
export function nixInsteadOfXml(context: Context): Message {
  return {
    code: 'NOT_XML',
    exit: EXIT.refused,
    what: `${nameOfFile(context)} holds Nix, not the XML of a domain.`,
    remedy: `to get XML from it: ${context.line} --to xml`
  }
}

/** A part of the domain would have to be computed, and that did not work. */
export function computedMessage(
  error: DomainError,
  reason: { missing: string } | { failed: string },
  context: Context
): Message {
  if ('missing' in reason) {
    return {
      ...domainMessage(error, context),
      why: `it has to be computed, and ${reason.missing}.`,
      remedy: 'write it out, or run this where Nix is installed'
    }
  }
  return {
    code: 'EVALUATION_FAILED',
    exit: EXIT.refused,
    what: `${nameOfFile(context)}: Nix can not compute the domain.`,
    why: reason.failed,
    remedy: 'write out in the file what it needs from elsewhere'
  }
}
